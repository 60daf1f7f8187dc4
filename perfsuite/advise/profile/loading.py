"""Time the stages of loading on one core, and find the bottleneck.

>>> profile = LoadingProfile(64, (StageRate("decode", 400.0, 0.75), StageRate("augment", 1200.0, 0.25)))
>>> slowest = profile.slowest
>>> slowest.name, round(profile.images_per_second), round(profile.max_speedup(slowest), 2)
('decode', 300, 4.0)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from perfsuite.advise.bottleneck.bottlenecks import remedy_of_stage
from perfsuite.advise.one_thread import one_thread
from perfsuite.advise.profile.stage_loaders import without_workers
from perfsuite.data.loader import Loader
from perfsuite.errors import NothingMeasuredError
from perfsuite.judge.amdahl import max_speedup_without
from perfsuite.measure.stage_clock import MAX_SPANS, StageClock, StageSpan
from perfsuite.measure.workload import count_items
from perfsuite.stages import listen_to_stages

# The stages of augmentation in perfsuite's loaders, and what reports call them. Random numbers include those
# of the crop.
AUGMENTATION_PARTS = {"augment": "transforms", "random numbers": "random numbers", "collate": "memory"}


@dataclass(frozen=True, slots=True)
class StageRate:
    """One stage on one core."""

    name: str
    images_per_second: float
    share: float  # of the work of all stages
    advice: str = ""
    batch_seconds: tuple[float, ...] = ()  # seconds per image in each batch


@dataclass(frozen=True, slots=True)
class LoadingProfile:
    """The stages of loading, the slowest first."""

    images: int
    stages: tuple[StageRate, ...]
    is_complete: bool = True  # False where the run was interrupted
    spans: tuple[StageSpan, ...] = ()  # the first stages, one by one

    @property
    def slowest(self) -> StageRate:
        return self.stages[0]

    @property
    def images_per_second(self) -> float:
        """The rate of one core that runs all stages."""
        return 1 / math.fsum(1 / stage.images_per_second for stage in self.stages)

    @property
    def augmentation_shares(self) -> dict[str, float]:
        """The shares of loading that the parts of augmentation have; empty where nothing is augmented."""
        shares = {stage.name: stage.share for stage in self.stages}
        if "augment" not in shares:
            return {}
        return {part: shares.get(name, 0.0) for name, part in AUGMENTATION_PARTS.items()}

    def max_speedup(self, stage: StageRate) -> float:
        """How many times as fast loading becomes at most if the stage takes no time (Amdahl's bound)."""
        return max_speedup_without(stage.share)


def profile_loading(loader: Any, seconds: float = 5.0) -> LoadingProfile:
    """Load batches in this thread for so long, and time their stages; the first batch is not timed.

    Any iterable of batches will do. Of a torch DataLoader the data set's `loader` and `transform` are told
    apart, of perfsuite's loaders every stage.
    """
    inline, clock, images = without_workers(loader), StageClock(max_spans=MAX_SPANS), 0
    batches: list[dict[str, float]] = []  # seconds per image of each stage in each batch
    with one_thread():
        if next(iter(inline), None) is None:
            raise NothingMeasuredError("loading: the loader gives no batch, expected images")
        end, is_complete, before = perf_counter() + seconds, True, dict[str, float]()
        with listen_to_stages(clock):
            try:
                while perf_counter() < end:
                    for batch in inline:
                        count = count_items(batch)
                        batches.append(_since(clock.seconds, before, count))
                        before = dict(clock.seconds)
                        images += count
                        if perf_counter() >= end:
                            break
            except KeyboardInterrupt:
                if not images:
                    raise
                is_complete = False
    profile = _loading_profile(images, clock.seconds, batches, is_user_loader=not isinstance(loader, Loader))
    return replace(profile, is_complete=is_complete, spans=tuple(clock.spans))


def _since(seconds: Mapping[str, float], before: Mapping[str, float], images: int) -> dict[str, float]:
    """Seconds per image of each stage since an earlier state of the clock."""
    return {name: (value - before.get(name, 0.0)) / max(1, images) for name, value in seconds.items()}


def _loading_profile(
    images: int,
    seconds: Mapping[str, float],
    batches: Sequence[Mapping[str, float]],
    is_user_loader: bool,
) -> LoadingProfile:
    total = math.fsum(seconds.values())
    # Without workers, the time of the "load" stage is what the loader does outside its other stages.
    rest = "rest" if len(seconds) > 1 else "load"
    names = {name: rest if name == "load" else name for name, value in seconds.items() if value > 0}
    slowest_first = sorted(names, key=lambda name: -seconds[name])
    return LoadingProfile(
        images,
        tuple(
            StageRate(
                name=names[name],
                images_per_second=images / seconds[name],
                share=seconds[name] / total,
                advice=remedy_of_stage(names[name], is_user_loader),
                batch_seconds=tuple(batch.get(name, 0.0) for batch in batches),
            )
            for name in slowest_first
        ),
    )
