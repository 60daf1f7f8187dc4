"""The sides of a sweep that take turns: a loader in one setting and mode, and a training step."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Protocol

import psutil

from perfsuite.advise.sweep.loader_setting import LoaderSetting
from perfsuite.advise.sweep.setting_loaders import TurnLoader
from perfsuite.advise.sweep.setting_result import CoreUse
from perfsuite.errors import NothingMeasuredError
from perfsuite.measure.clock import Call, Clock
from perfsuite.measure.workload import count_items


class SweepSide(Protocol):
    """One of the things that take turns."""

    seconds_per_image: list[float]  # one per block

    def turn(self, epoch: int, processes: Sequence[psutil.Process]) -> float:
        """Seconds per image of one turn."""

    def clear(self) -> None:
        """Forget the samples of warm-up turns."""


@dataclass(slots=True)
class LoaderRun:
    """The loader of one setting, and the samples of its turns."""

    setting: LoaderSetting
    loader: TurnLoader
    seconds_per_image: list[float] = field(default_factory=list)
    batch_seconds: list[float] = field(default_factory=list)
    first_batch_seconds: list[float] = field(default_factory=list)
    main_thread_cores: list[float] = field(default_factory=list)
    worker_cores: list[float] = field(default_factory=list)

    def turn(self, epoch: int, processes: Sequence[psutil.Process] = ()) -> float:
        child_seconds = _cpu_seconds(processes)
        thread_seconds, process_seconds = time.thread_time(), time.process_time()
        begin = last = time.perf_counter()
        waits, images = [], 0
        for batch in self.loader.batches(epoch):
            now = time.perf_counter()
            waits.append(now - last)
            last = now
            images += count_items(batch)
        seconds = time.perf_counter() - begin
        if not images:
            raise NothingMeasuredError(f"sweep: {self.setting.label}: the loader gave no image in a turn")
        thread_seconds = time.thread_time() - thread_seconds
        process_seconds = time.process_time() - process_seconds
        child_seconds = _cpu_seconds(processes) - child_seconds
        self.first_batch_seconds.append(waits[0])
        self.batch_seconds += waits[1:]
        self.main_thread_cores.append(thread_seconds / seconds)
        self.worker_cores.append((process_seconds - thread_seconds + child_seconds) / seconds)
        return seconds / images

    def clear(self) -> None:
        for samples in (
            self.seconds_per_image,
            self.batch_seconds,
            self.first_batch_seconds,
            self.main_thread_cores,
            self.worker_cores,
        ):
            samples.clear()

    @property
    def core_use(self) -> CoreUse:
        return CoreUse(median(self.main_thread_cores), median(self.worker_cores))


@dataclass(slots=True)
class StepRun:
    """A training step that takes turns with the loaders."""

    call: Call
    images: int  # of one call
    clock: Clock
    calls: int = 1
    device_peak_bytes: int | None = None  # None on the CPU
    seconds_per_image: list[float] = field(default_factory=list)

    def turn(self, epoch: int, processes: Sequence[psutil.Process] = ()) -> float:
        return self.clock.time_calls(self.call, self.calls) / self.calls / self.images

    def clear(self) -> None:
        self.seconds_per_image.clear()


def _cpu_seconds(processes: Iterable[Any]) -> float:
    """CPU seconds that the processes have used so far."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue  # it ended since it was listed
        total += times.user + times.system
    return total
