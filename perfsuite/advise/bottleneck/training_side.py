"""Training on a loader's batches, as a side that takes turns with loading alone and the step alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice

import psutil
from torch import nn

from perfsuite.advise.inputs.batches import images_and_labels
from perfsuite.advise.sweep.setting_loaders import TurnLoader
from perfsuite.errors import NothingMeasuredError
from perfsuite.measure.clock import Clock
from perfsuite.measure.gpu import GpuMonitor, monitor_gpu
from perfsuite.training.devices import DeviceTransfer
from perfsuite.training.step.optimizers import make_optimizer
from perfsuite.training.step.step import TrainingStep

WAIT, STEP = "waiting for a batch", "training step"


@dataclass(frozen=True, slots=True)
class TrainingSpan:
    """What the training thread did, in seconds from the begin of its turn."""

    name: str
    begin: float
    end: float


@dataclass(slots=True)
class TrainingRun:
    """A turn trains on the batches of a loader's turn, at most on so many."""

    loader: TurnLoader
    step: TrainingStep
    clock: Clock
    max_batches: int
    gpu_busy_percent: list[float] = field(default_factory=list)  # one per turn, by NVML
    spans: list[TrainingSpan] = field(default_factory=list)  # of the last turn
    seconds_per_image: list[float] = field(default_factory=list)

    @classmethod
    def of_model(cls, loader: TurnLoader, model: nn.Module, clock: Clock, max_batches: int) -> TrainingRun:
        return cls(
            loader, TrainingStep(model.train(), make_optimizer(model, learning_rate=1e-3)), clock, max_batches
        )

    def turn(self, epoch: int, processes: Sequence[psutil.Process] = ()) -> float:
        with self._monitor() as gpu:
            seconds, images = self._train(epoch)
        readings = None if gpu is None else gpu.readings
        if readings is not None and readings.utilization_percent is not None:
            self.gpu_busy_percent.append(readings.utilization_percent)
        return seconds / images

    def _monitor(self) -> AbstractContextManager[GpuMonitor | None]:
        device = self.step.device
        return monitor_gpu(str(device)) if device.type == "cuda" else nullcontext()

    def _train(self, epoch: int) -> tuple[float, int]:
        """Seconds and images of a turn."""
        transfer, images = DeviceTransfer(self.step.device), 0
        self.spans.clear()
        self.clock.wait()
        begin = before = time.perf_counter()
        for batch in islice(self.loader.batches(epoch), self.max_batches):
            ready = time.perf_counter()
            pair = images_and_labels(batch, "advise --model")
            images += len(pair[0])
            self.step(*transfer(pair))
            after = time.perf_counter()
            self.spans.append(TrainingSpan(WAIT, before - begin, ready - begin))
            self.spans.append(TrainingSpan(STEP, ready - begin, after - begin))
            before = after
        self.clock.wait()
        if not images:
            raise NothingMeasuredError("advise: the loader gave no image in a turn")
        return time.perf_counter() - begin, images

    def clear(self) -> None:
        self.seconds_per_image.clear()
        self.gpu_busy_percent.clear()
