"""Shares of a training step by stage, from reading a file to the optimizer, and what removing one can give.

>>> seconds = {"decode": (0.03,) * 9, "forward": (0.05,) * 9, "other": (0.02,) * 9}
>>> profile = StepProfile(batches=9, images_per_batch=32, stage_seconds=seconds)
>>> profile.share("decode").value, round(profile.bound_without_overlap("decode"), 2)
(0.3, 1.43)
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import fsum
from statistics import fmean
from time import perf_counter
from typing import Any

from torch import nn

from perfsuite.advise.confidence import LEVEL, MIN_BLOCKS
from perfsuite.advise.inputs.batches import batch_bytes, images_and_labels
from perfsuite.errors import NothingMeasuredError
from perfsuite.judge.amdahl import max_speedup_with_overlap, max_speedup_without
from perfsuite.judge.metrics import MetricEstimate
from perfsuite.judge.order_statistics import median_interval, quantile
from perfsuite.measure.clock import Clock
from perfsuite.measure.memory import measure_peak_memory
from perfsuite.measure.stage_clock import MAX_SPANS, StageClock, StageSpan
from perfsuite.stages import STEP_STAGES, listen_to_stages
from perfsuite.training.devices import DeviceTransfer
from perfsuite.training.step.optimizers import make_optimizer
from perfsuite.training.step.step import TrainingStep

WARMUP_BATCHES = 2
OTHER = "other"
# The name of what a loader does outside its stages.
REST_OF_LOADING = "rest of loading"


@dataclass(frozen=True, slots=True)
class StepMemory:
    """Memory while one batch is loaded and trained on, in bytes; None where it could not be measured."""

    batch_bytes: int
    host_peak_bytes: int | None  # of the process tree
    device_peak_bytes: int | None  # None on the CPU


@dataclass(frozen=True, slots=True)
class StepProfile:
    """Seconds of each stage in each batch, all in one thread; `other` is what no stage covers."""

    batches: int
    images_per_batch: float
    stage_seconds: Mapping[str, tuple[float, ...]]
    # Seconds that the loader with workers takes for a batch, alone; None where it was not measured.
    loading_seconds_with_workers: float | None = None
    num_workers: int = 0
    is_complete: bool = True  # False where the run was interrupted
    spans: tuple[StageSpan, ...] = ()  # the first stages, one by one
    memory: StepMemory | None = None  # None where no further batch was there to measure

    @property
    def batch_seconds(self) -> tuple[float, ...]:
        return tuple(fsum(stages) for stages in zip(*self.stage_seconds.values(), strict=True))

    @property
    def slowest_first(self) -> list[str]:
        return sorted(self.stage_seconds, key=lambda name: -fsum(self.stage_seconds[name]))

    def share(self, *names: str) -> MetricEstimate:
        """The share that these stages have of a batch, the median over the batches."""
        chosen = [self.stage_seconds[name] for name in names if name in self.stage_seconds]
        parts = [fsum(stages) for stages in zip(*chosen, strict=True)] or [0.0] * self.batches
        shares = [part / whole for part, whole in zip(parts, self.batch_seconds, strict=True)]
        return MetricEstimate(quantile(shares, 0.5), median_interval(shares, LEVEL))

    def mean_seconds(self, *names: str) -> float:
        """Seconds of a batch that these stages take."""
        return (
            fsum(fsum(self.stage_seconds[name]) for name in names if name in self.stage_seconds)
            / self.batches
        )

    @property
    def loading_stages(self) -> tuple[str, ...]:
        return tuple(name for name in self.stage_seconds if name not in (*STEP_STAGES, OTHER))

    def bound_without_overlap(self, name: str) -> float:
        """How many times as fast an epoch becomes at most without the stage, with no workers (Amdahl)."""
        return max_speedup_without(self.mean_seconds(name), fsum(self.batch_seconds) / self.batches)

    def bound_with_overlap(self, name: str) -> float | None:
        """The same where workers load beside the step, so that the slower of the two counts."""
        if self.loading_seconds_with_workers is None:
            return None
        loading, step = self.loading_seconds_with_workers, self.mean_seconds(*STEP_STAGES, OTHER)
        if name not in self.loading_stages:
            return max_speedup_with_overlap(self.mean_seconds(name), step, loading)
        in_loading = self.mean_seconds(name) / self.mean_seconds(*self.loading_stages)
        return max_speedup_with_overlap(in_loading * loading, loading, step)


def profile_step(
    loader: Iterable[Any], model: nn.Module, clock: Clock, seconds: float, who: str = "profile step"
) -> StepProfile:
    """Train a copy of the model on a loader without workers, and time each stage of each batch."""
    model_copy = copy.deepcopy(model).train()
    step = TrainingStep(model_copy, make_optimizer(model_copy, learning_rate=1e-3))
    transfer = DeviceTransfer(step.device)
    stage_clock = StageClock(clock.wait, max_spans=MAX_SPANS)
    records: list[dict[str, float]] = []
    sizes: list[int] = []  # images of each batch

    def train_on(batch: Any) -> None:
        pair = images_and_labels(batch, who)
        sizes.append(len(pair[0]))
        step(*transfer(pair))

    is_complete, memory = True, None
    try:
        with listen_to_stages(stage_clock):
            _record_batches(loader, train_on, stage_clock, records, seconds)
        memory = _measure_memory(loader, train_on)
    except KeyboardInterrupt:
        if len(records) <= WARMUP_BATCHES:
            raise
        is_complete = False
    if len(records) <= WARMUP_BATCHES:
        raise NothingMeasuredError(
            f"{who}: the loader gave {len(records)} batches, expected more than {WARMUP_BATCHES}, which "
            "warm up"
        )
    timed = records[WARMUP_BATCHES:]
    names = sorted({name for record in timed for name in record})
    return StepProfile(
        batches=len(timed),
        images_per_batch=fmean(sizes),
        stage_seconds={name: tuple(record.get(name, 0.0) for record in timed) for name in names},
        is_complete=is_complete,
        spans=tuple(stage_clock.spans),
        memory=memory,
    )


def _measure_memory(loader: Iterable[Any], train_on: Callable[[Any], None]) -> StepMemory | None:
    """Load and train on one more batch, apart from the timed ones, because reading memory takes time."""
    sizes: list[int] = []

    def one_batch() -> None:
        for batch in loader:
            sizes.append(batch_bytes(batch))
            train_on(batch)
            break

    peaks = measure_peak_memory(one_batch)
    if not sizes:  # a loader that gives its batches once
        return None
    return StepMemory(sizes[0], peaks.peak_pss_bytes, peaks.peak_cuda_allocated_bytes)


def _record_batches(
    loader: Iterable[Any],
    train_on: Callable[[Any], None],
    stage_clock: StageClock,
    records: list[dict[str, float]],
    seconds: float,
) -> None:
    """Append the seconds of each stage, batch by batch, over as many epochs as the time allows."""
    begin = perf_counter()
    while True:
        before, batches = perf_counter(), len(records)
        for batch in loader:
            train_on(batch)
            now = perf_counter()
            records.append(_stages_of_batch(stage_clock, now - before))
            before = now
            if perf_counter() - begin >= seconds and len(records) >= MIN_BLOCKS + WARMUP_BATCHES:
                return
        if len(records) == batches:  # an empty loader
            return


def _stages_of_batch(stage_clock: StageClock, whole: float) -> dict[str, float]:
    """Take the seconds of the stages since the last batch; what they leave of the whole is `other`."""
    stages = dict(stage_clock.seconds)
    stage_clock.seconds.clear()
    if "load" in stages:
        stages[REST_OF_LOADING] = stages.pop("load")
    return {**stages, OTHER: max(0.0, whole - fsum(stages.values()))}
