"""The settings of a sweep, measured in turns in one process: one passes over its batches, the others rest."""

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

from perfsuite.advise.sweep.results import (
    MIN_BLOCKS,
    CoreUse,
    HostMemory,
    LoaderSetting,
    SettingResult,
    SweepReport,
)
from perfsuite.data.loader import Loader
from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.files import SPLITS, ImageSource, Subset
from perfsuite.errors import NothingMeasuredError, UsageError
from perfsuite.measure.memory import measure_peak_memory
from perfsuite.measure.turns import run_blocks

TURN_SECONDS = 0.4  # about, for the caller alone
MAX_BATCHES_PER_TURN = 64
OnProgress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SweepConfig:
    """What is to be loaded in which settings, and for how long."""

    workers: tuple[int, ...] = (0, 1, 2, 4, 8)
    engines: tuple[str, ...] = ("auto",)
    prefetches: tuple[int, ...] = (2,)
    mode: str | None = "moderate"
    batch_size: int = 32
    seconds: float = 60.0
    options: Mapping[str, Any] = field(default_factory=dict)  # further ones of make_loaders

    def __post_init__(self) -> None:
        if not self.workers or min(self.workers) < 0:
            raise UsageError(f"sweep: workers {list(self.workers)}, expected numbers of 0 or more")
        if not self.seconds > 0:
            raise UsageError(f"sweep: {self.seconds:g} seconds, expected more than 0")

    @property
    def settings(self) -> tuple[LoaderSetting, ...]:
        """Each once; without workers there is neither an engine nor a batch ahead."""
        every = (
            LoaderSetting(workers, prefetch, engine) if workers else LoaderSetting(0)
            for workers in self.workers
            for prefetch in self.prefetches
            for engine in self.engines
        )
        return tuple(sorted(set(every)))

    @property
    def is_augmented(self) -> bool:
        return self.mode != "none"


@dataclass(slots=True)
class _LoaderRun:
    """One setting's loader; what its turns gave."""

    setting: LoaderSetting
    loader: Loader
    images: int
    seconds: list[float] = field(default_factory=list)  # of an image, by blocks
    batch_seconds: list[float] = field(default_factory=list)
    first_batch_seconds: list[float] = field(default_factory=list)
    main: list[float] = field(default_factory=list)
    workers: list[float] = field(default_factory=list)

    def turn(self, epoch: int, processes: Sequence[psutil.Process] = ()) -> float:
        """One pass over the same images, cropped and drawn alike in every arm; seconds of an image."""
        self.loader.set_epoch(epoch)
        apart = _cpu_seconds(processes)
        own, whole, began = time.thread_time(), time.process_time(), time.perf_counter()
        waits, last = [], began
        for _ in self.loader:
            now = time.perf_counter()
            waits.append(now - last)
            last = now
        took = time.perf_counter() - began
        own, whole = time.thread_time() - own, time.process_time() - whole
        apart = _cpu_seconds(processes) - apart
        self.first_batch_seconds.append(waits[0])
        self.batch_seconds += waits[1:]
        self.main.append(own / took)
        self.workers.append((whole - own + apart) / took)
        return took / self.images

    def clear(self) -> None:
        for row in (self.seconds, self.batch_seconds, self.first_batch_seconds, self.main, self.workers):
            row.clear()


def measure_sweep(
    source: ImageSource, question: SweepConfig, tell: OnProgress = lambda _: None
) -> SweepReport:
    """All settings on images of `source`. Broken off by Ctrl-C it keeps the blocks that were finished."""
    if not len(source):
        raise NothingMeasuredError("sweep: the source has no images")
    batches = _batches_per_turn(source, question)
    some = _spread_rows(source, batches * question.batch_size)
    arms: dict[LoaderSetting, _LoaderRun] = {}
    plain: dict[LoaderSetting, _LoaderRun] = {}
    held: dict[LoaderSetting, HostMemory] = {}
    told: list[str] = []
    is_whole = True
    with ExitStack() as opened:
        first = _open_loader(opened, some, question, LoaderSetting(0), question.mode)
        mean, deviation = _image_mean_and_std(first.loader)
        for setting in question.settings:
            tell(f"{setting}: memory, and a first turn of {batches} batches")
            arms[setting] = arm = _open_loader(opened, some, question, setting, question.mode)
            held[setting], seen = _measure_memory(arm)
            told.append(seen)
            if question.is_augmented:
                plain[setting] = _open_loader(opened, some, question, setting, "none")
        everyone = [*arms.values(), *plain.values()]
        try:
            _take_turns(everyone, question.seconds, tell)
        except KeyboardInterrupt:
            is_whole = False
    blocks = min(len(arm.seconds) for arm in everyone)
    if not blocks:
        raise NothingMeasuredError("sweep: broken off before all settings had their turn")
    seen_all = (
        _setting_result(arm, plain.get(setting), held[setting], blocks) for setting, arm in arms.items()
    )
    return SweepReport(
        question.batch_size,
        tuple(seen_all),
        question.mode,
        is_reproducible=len(set(told)) == 1,
        mean=mean,
        std=deviation,
        is_complete=is_whole,
    )


def _batches_per_turn(source: ImageSource, question: SweepConfig) -> int:
    """So many that the caller alone has a turn long enough, and each worker process as many as another."""
    few = _spread_rows(source, question.batch_size)
    with ExitStack() as opened:
        arm = _open_loader(opened, few, question, LoaderSetting(0), question.mode)
        seconds = min(arm.turn(epoch) for epoch in range(3)) * question.batch_size
    most = max(1, *question.workers)
    wanted = max(2 * most, min(MAX_BATCHES_PER_TURN, TURN_SECONDS / seconds))
    return most * ceil(wanted / most)


def _spread_rows(source: ImageSource, images: int) -> Subset:
    """So many rows from all over the source; again from the first one where there are fewer."""
    rows = np.linspace(0, len(source) - 1, min(images, len(source))).astype(np.int64)
    return Subset(source, np.resize(rows, images))


def _open_loader(
    opened: ExitStack, source: ImageSource, question: SweepConfig, setting: LoaderSetting, mode: str | None
) -> _LoaderRun:
    with warnings.catch_warnings():
        # More processes than cores: whether they pay is what is asked.
        warnings.filterwarnings("ignore", "This DataLoader will create")
        loaders = make_loaders(
            dict.fromkeys(SPLITS, source),
            question.batch_size,
            setting.workers,
            mode,
            engine=setting.engine,
            prefetch_factor=setting.prefetch_factor,
            **question.options,
        )
    opened.callback(loaders.close)
    return _LoaderRun(setting, loaders.train, len(source))


def _image_mean_and_std(loader: Loader) -> tuple[float, float]:
    """Mean and deviation of the images; what is imported and compiled at first is so by then."""
    images = torch.cat([images.float().flatten() for images, _ in loader])
    return float(images.mean()), float(images.std())


def _measure_memory(arm: _LoaderRun) -> tuple[HostMemory, str]:
    """What its first turn held, and a checksum of what it gave."""
    told = hashlib.sha256()
    given_bytes = ahead_bytes = 0

    def first_turn() -> None:
        nonlocal given_bytes, ahead_bytes
        arm.loader.set_epoch(0)
        for images, labels in arm.loader:
            if not given_bytes:
                given_bytes = images.nbytes + labels.nbytes
                ahead_bytes = images.numel() + labels.nbytes
            told.update(images.permute(0, 2, 3, 1).contiguous().view(torch.uint8).numpy().data)
            told.update(labels.numpy().data)

    peak = measure_peak_memory(first_turn)
    setting = replace(arm.setting, engine=arm.loader.engine)
    held = HostMemory(given_bytes, ahead_bytes * batches_ahead(setting), peak.peak_growth_bytes or 0)
    return held, told.hexdigest()


def batches_ahead(setting: LoaderSetting) -> int:
    """Batches of bytes that are filled or being filled while the caller holds one.

    >>> [batches_ahead(LoaderSetting(4, 2, engine)) for engine in ("threads", "processes")]
    [2, 8]
    """
    if not setting.workers:
        return 0
    return setting.prefetch_factor * (setting.workers if setting.engine == "processes" else 1)


def _take_turns(arms: Sequence[_LoaderRun], seconds: float, tell: OnProgress) -> None:
    """Measure blocks of turns; one block adds one value to every arm."""
    tell("warming up")
    for arm in arms:
        arm.turn(0)
        arm.clear()
    processes = psutil.Process().children(recursive=True)  # all workers; those at rest use nothing
    began, wanted = time.perf_counter(), f"wanted are {seconds:.0f} s and {MIN_BLOCKS} blocks"
    epochs = [0] * len(arms)

    def turn(index: int) -> float:
        epochs[index] += 1
        return arms[index].turn(epochs[index] - 1, processes)

    def should_stop(blocks: int) -> bool:
        return blocks >= MIN_BLOCKS and time.perf_counter() - began >= seconds

    blocks = run_blocks(range(len(arms)), turn, should_stop=should_stop, rng=Random())
    for number, block in enumerate(blocks, 1):
        for arm, value in zip(arms, block, strict=True):
            arm.seconds.append(value)
        tell(f"{number} blocks of turns in {time.perf_counter() - began:.0f} s; {wanted}")


def _setting_result(
    arm: _LoaderRun, plain: _LoaderRun | None, held: HostMemory, blocks: int
) -> SettingResult:
    return SettingResult(
        replace(arm.setting, engine=arm.loader.engine),
        tuple(arm.seconds[:blocks]),
        () if plain is None else tuple(plain.seconds[:blocks]),
        tuple(arm.batch_seconds),
        tuple(arm.first_batch_seconds),
        CoreUse(median(arm.main), median(arm.workers)),
        held,
    )


def _cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """Of a core, used by them so far."""
    total = 0.0
    for process in processes:
        try:
            took = process.cpu_times()
        except psutil.Error:
            continue  # it ended since it was listed
        total += took.user + took.system
    return total
