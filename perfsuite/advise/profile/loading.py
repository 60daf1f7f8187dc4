"""How many images a second each stage of loading makes on one core, and which of them is the narrow one.

>>> found = LoadingProfile(64, (StageRate("decode", 400.0, 0.75), StageRate("augment", 1200.0, 0.25)))
>>> found.slowest.name, round(found.images_per_second), round(found.max_speedup(found.slowest), 2)
('decode', 300, 4.0)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

import torch

from perfsuite.data.engines.worker_setup import limit_library_threads
from perfsuite.data.loader import Loader
from perfsuite.errors import NothingMeasuredError
from perfsuite.measure.stage_clock import StageClock
from perfsuite.stages import listen_to_stages
from perfsuite.transforms.optional_libraries import import_opencv

ADVICE = {
    "read": "pack the files (perfsuite data shards), keep them nearer, or decoded: cache='ram' or 'disk'",
    "decode": "decode once: cache='ram' or 'disk'; scaled_decode=True shrinks large JPEGs; more workers",
    "resize": "decode once: cache='ram' or 'disk' keeps images near the training size",
    "augment": "augment on the device (perfsuite.transforms.augment.device), or use cache_epochs=",
    "normalize": "hand bytes to the device and normalize there: device='cuda'",
    "targets": "fewer corners: polygons are what costs; boxes and keypoints are cheap",
    "map": "store maps beside the images: perfsuite data maps",
    "rest": "larger batches: it is what lies between the images",
}


@dataclass(frozen=True, slots=True)
class StageRate:
    """A stage, by itself on one core."""

    name: str
    images_per_second: float
    share: float  # of the work of all stages
    advice: str = ""


@dataclass(frozen=True, slots=True)
class LoadingProfile:
    """The stages, the slowest first."""

    images: int
    stages: tuple[StageRate, ...]

    @property
    def slowest(self) -> StageRate:
        return self.stages[0]

    @property
    def images_per_second(self) -> float:
        """One core through all stages."""
        return 1 / math.fsum(1 / stage.images_per_second for stage in self.stages)

    def max_speedup(self, stage: StageRate) -> float:
        """How many times as fast it would be if this stage took no time (Amdahl's bound)."""
        return math.inf if stage.share >= 1 else 1 / (1 - stage.share)


def profile_loading(loader: Loader, seconds: float = 5.0) -> LoadingProfile:
    """Make the loader's batches in this thread for so long, and time their stages; not the first batch's."""
    alone, clock, images = loader.without_workers(), StageClock(), 0
    with _one_thread():
        if next(iter(alone), None) is None:
            raise NothingMeasuredError("loading: the loader gives no batch, expected images")
        until = perf_counter() + seconds
        with listen_to_stages(clock):
            while perf_counter() < until:
                for batch, _ in alone:
                    images += len(batch)
                    if perf_counter() >= until:
                        break
    return _loading_profile(images, clock.seconds)


def _loading_profile(images: int, seconds: Mapping[str, float]) -> LoadingProfile:
    whole = math.fsum(seconds.values())
    # What the loader does beside its named stages is its own time of waiting for a batch.
    named = {"rest" if name == "load" else name: took for name, took in seconds.items() if took > 0}
    slowest_first = sorted(named, key=lambda name: -named[name])
    return LoadingProfile(
        images,
        tuple(
            StageRate(name, images / named[name], named[name] / whole, ADVICE.get(name, ""))
            for name in slowest_first
        ),
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Of torch and of OpenCV, so that a rate is that of one core."""
    cv2 = import_opencv()
    threads, cv2_threads = torch.get_num_threads(), cv2.getNumThreads() if cv2 else 1
    limit_library_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if cv2 is not None:
            cv2.setNumThreads(cv2_threads)
