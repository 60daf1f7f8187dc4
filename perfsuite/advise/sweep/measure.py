"""Measure loader settings in turns in one process: while one iterates over its batches, the others wait."""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from math import ceil
from random import Random
from statistics import median
from typing import Any

import numpy as np
import psutil
import torch

from perfsuite.advise.sweep.report import (
    MIN_BLOCKS,
    CoreUse,
    HostMemory,
    LoaderSetting,
    SettingResult,
    SweepReport,
)
from perfsuite.data.loader import Loader
from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.base import ImageSource, Subset
from perfsuite.data.sources.splits import SPLITS
from perfsuite.errors import NothingMeasuredError, UsageError
from perfsuite.measure.memory import measure_peak_memory
from perfsuite.measure.turns import run_blocks

TURN_SECONDS = 0.4  # approximate length of a turn without workers
MAX_BATCHES_PER_TURN = 64
CALIBRATION_TURNS = 3
OnProgress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepConfig:
    """What is loaded, in which settings, and for how long."""

    num_workers: tuple[int, ...] = (0, 1, 2, 4, 8)
    engines: tuple[str, ...] = ("auto",)
    prefetch_factors: tuple[int, ...] = (2,)
    augmentation_mode: str | None = "moderate"
    batch_size: int = 32
    seconds: float = 60.0
    loader_options: Mapping[str, Any] = field(default_factory=dict)  # further options of make_loaders

    def __post_init__(self) -> None:
        if not self.num_workers or min(self.num_workers) < 0:
            raise UsageError(f"sweep: num_workers {list(self.num_workers)}, expected numbers of 0 or more")
        if not self.seconds > 0:
            raise UsageError(f"sweep: {self.seconds:g} seconds, expected more than 0")

    @property
    def settings(self) -> tuple[LoaderSetting, ...]:
        """All combinations, each once; without workers, engine and prefetch factor do not matter."""
        combinations = (
            LoaderSetting(num_workers, prefetch_factor, engine) if num_workers else LoaderSetting(0)
            for num_workers in self.num_workers
            for prefetch_factor in self.prefetch_factors
            for engine in self.engines
        )
        return tuple(sorted(set(combinations)))

    @property
    def is_augmented(self) -> bool:
        return self.augmentation_mode != "none"


@dataclass(slots=True)
class _LoaderRun:
    """The loader of one setting, and the samples of its turns."""

    setting: LoaderSetting
    loader: Loader
    images: int
    seconds_per_image: list[float] = field(default_factory=list)  # one per block
    batch_seconds: list[float] = field(default_factory=list)
    first_batch_seconds: list[float] = field(default_factory=list)
    main_thread_cores: list[float] = field(default_factory=list)
    worker_cores: list[float] = field(default_factory=list)

    def turn(self, epoch: int, processes: Sequence[psutil.Process] = ()) -> float:
        """Iterate once over the images; seconds per image. An epoch augments alike in every setting."""
        self.loader.set_epoch(epoch)
        child_seconds = _cpu_seconds(processes)
        thread_seconds, process_seconds = time.thread_time(), time.process_time()
        begin = last = time.perf_counter()
        waits = []
        for _ in self.loader:
            now = time.perf_counter()
            waits.append(now - last)
            last = now
        seconds = time.perf_counter() - begin
        thread_seconds = time.thread_time() - thread_seconds
        process_seconds = time.process_time() - process_seconds
        child_seconds = _cpu_seconds(processes) - child_seconds
        self.first_batch_seconds.append(waits[0])
        self.batch_seconds += waits[1:]
        self.main_thread_cores.append(thread_seconds / seconds)
        self.worker_cores.append((process_seconds - thread_seconds + child_seconds) / seconds)
        return seconds / self.images

    def clear(self) -> None:
        """Forget the samples of warm-up turns."""
        for samples in (
            self.seconds_per_image,
            self.batch_seconds,
            self.first_batch_seconds,
            self.main_thread_cores,
            self.worker_cores,
        ):
            samples.clear()

    def result(self, plain: _LoaderRun | None, memory: HostMemory, blocks: int) -> SettingResult:
        return SettingResult(
            setting=replace(self.setting, engine=self.loader.engine),
            seconds_per_image=tuple(self.seconds_per_image[:blocks]),
            plain_seconds_per_image=() if plain is None else tuple(plain.seconds_per_image[:blocks]),
            batch_seconds=tuple(self.batch_seconds),
            first_batch_seconds=tuple(self.first_batch_seconds),
            core_use=CoreUse(median(self.main_thread_cores), median(self.worker_cores)),
            memory=memory,
        )


def measure_sweep(
    source: ImageSource, config: SweepConfig, on_progress: OnProgress = lambda _: None
) -> SweepReport:
    """Measure all settings on images of `source`. KeyboardInterrupt ends the turns; whole blocks count."""
    if not len(source):
        raise NothingMeasuredError("sweep: the source has no images")
    batches = _batches_per_turn(source, config)
    images = _spread_rows(source, batches * config.batch_size)
    runs: dict[LoaderSetting, _LoaderRun] = {}
    plain_runs: dict[LoaderSetting, _LoaderRun] = {}
    memory: dict[LoaderSetting, HostMemory] = {}
    checksums = set()
    with ExitStack() as cleanup:
        first = _open_loader(cleanup, images, config, LoaderSetting(0), config.augmentation_mode)
        mean, std = _image_mean_and_std(first.loader)
        for setting in config.settings:
            on_progress(f"{setting}: memory, and a first turn of {batches} batches")
            runs[setting] = _open_loader(cleanup, images, config, setting, config.augmentation_mode)
            memory[setting], checksum = _measure_memory(runs[setting])
            checksums.add(checksum)
            if config.is_augmented:
                plain_runs[setting] = _open_loader(cleanup, images, config, setting, "none")
        every_run = [*runs.values(), *plain_runs.values()]
        is_complete = _take_turns(every_run, config.seconds, on_progress)
    blocks = min(len(run.seconds_per_image) for run in every_run)
    if not blocks:
        raise NothingMeasuredError("sweep: interrupted before every setting had a turn; nothing to report")
    results = (run.result(plain_runs.get(setting), memory[setting], blocks) for setting, run in runs.items())
    return SweepReport(
        batch_size=config.batch_size,
        results=tuple(results),
        augmentation_mode=config.augmentation_mode,
        is_reproducible=len(checksums) == 1,
        mean=mean,
        std=std,
        is_complete=is_complete,
    )


def _batches_per_turn(source: ImageSource, config: SweepConfig) -> int:
    """Enough for a turn of TURN_SECONDS without workers, and equally many for each worker."""
    few = _spread_rows(source, config.batch_size)
    with ExitStack() as cleanup:
        run = _open_loader(cleanup, few, config, LoaderSetting(0), config.augmentation_mode)
        seconds = min(run.turn(epoch) for epoch in range(CALIBRATION_TURNS)) * config.batch_size
    most = max(1, *config.num_workers)
    batches = max(2 * most, min(MAX_BATCHES_PER_TURN, TURN_SECONDS / seconds))
    return most * ceil(batches / most)


def _spread_rows(source: ImageSource, images: int) -> Subset:
    """Evenly spaced rows of the source, repeated from the first where it has fewer."""
    rows = np.linspace(0, len(source) - 1, min(images, len(source))).astype(np.int64)
    return Subset(source, np.resize(rows, images))


def _open_loader(
    cleanup: ExitStack, source: ImageSource, config: SweepConfig, setting: LoaderSetting, mode: str | None
) -> _LoaderRun:
    with warnings.catch_warnings():
        # More processes than cores: whether they pay off is the question.
        warnings.filterwarnings("ignore", "This DataLoader will create")
        loaders = make_loaders(
            dict.fromkeys(SPLITS, source),
            config.batch_size,
            setting.num_workers,
            mode,
            engine=setting.engine,
            prefetch_factor=setting.prefetch_factor,
            **config.loader_options,
        )
    cleanup.callback(loaders.close)
    return _LoaderRun(setting, loaders.train, len(source))


def _image_mean_and_std(loader: Loader) -> tuple[float, float]:
    """Mean and standard deviation of the images. Also imports and compiles everything before the turns."""
    images = torch.cat([images.float().flatten() for images, _ in loader])
    return float(images.mean()), float(images.std())


def _measure_memory(run: _LoaderRun) -> tuple[HostMemory, str]:
    """The memory of a first turn, and a checksum of its batches."""
    checksum = hashlib.sha256()
    batch_bytes = uint8_batch_bytes = 0

    def first_turn() -> None:
        nonlocal batch_bytes, uint8_batch_bytes
        run.loader.set_epoch(0)
        for images, labels in run.loader:
            if not batch_bytes:
                batch_bytes = images.nbytes + labels.nbytes
                uint8_batch_bytes = images.numel() + labels.nbytes
            checksum.update(images.permute(0, 2, 3, 1).contiguous().view(torch.uint8).numpy().data)
            checksum.update(labels.numpy().data)

    peak = measure_peak_memory(first_turn)
    setting = replace(run.setting, engine=run.loader.engine)
    memory = HostMemory(
        batch_bytes=batch_bytes,
        prefetch_bytes=uint8_batch_bytes * batches_ahead(setting),
        peak_growth_bytes=peak.peak_growth_bytes or 0,
    )
    return memory, checksum.hexdigest()


def batches_ahead(setting: LoaderSetting) -> int:
    """uint8 batches that exist, finished or being loaded, while the caller holds one.

    >>> [batches_ahead(LoaderSetting(4, 2, engine)) for engine in ("threads", "processes")]
    [2, 8]
    """
    if not setting.num_workers:
        return 0
    return setting.prefetch_factor * (setting.num_workers if setting.engine == "processes" else 1)


def _take_turns(runs: Sequence[_LoaderRun], seconds: float, on_progress: OnProgress) -> bool:
    """Take blocks of turns, with one sample of each run per block; False where they were interrupted."""
    epochs = [0] * len(runs)

    def turn(index: int) -> float:
        epochs[index] += 1
        return runs[index].turn(epochs[index] - 1, processes)

    def should_stop(blocks: int) -> bool:
        return blocks >= MIN_BLOCKS and time.perf_counter() - begin >= seconds

    try:
        on_progress("warming up")
        for run in runs:
            run.turn(0)
            run.clear()
        processes = psutil.Process().children(recursive=True)  # all workers; waiting ones use no CPU time
        begin, plan = time.perf_counter(), f"plan: {seconds:.0f} s and at least {MIN_BLOCKS} blocks"
        blocks = run_blocks(range(len(runs)), turn, should_stop=should_stop, rng=Random())
        for number, block in enumerate(blocks, 1):
            for run, sample in zip(runs, block, strict=True):
                run.seconds_per_image.append(sample)
            on_progress(f"{number} blocks of turns in {time.perf_counter() - begin:.0f} s; {plan}")
    except KeyboardInterrupt:
        return False
    return True


def _cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """CPU seconds that the processes have used so far."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue  # it ended since it was listed
        total += times.user + times.system
    return total
