"""Measure loader settings in turns in one process: while one iterates over its batches, the others wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import ceil
from random import Random

import psutil
import torch

from perfsuite.advise.inputs.batches import images_and_labels
from perfsuite.advise.machine import describe_machine
from perfsuite.advise.sweep.config import SweepConfig
from perfsuite.advise.sweep.first_turn import FirstTurn, image_mean_and_std, measure_first_turn
from perfsuite.advise.sweep.loader_run import LoaderRun, StepRun, SweepSide
from perfsuite.advise.sweep.report import MIN_BLOCKS, LoaderSetting, SettingResult, SweepReport
from perfsuite.advise.sweep.setting_loaders import SettingLoaders, TurnLoader, resolved
from perfsuite.advise.time_limit import TimeLimit, format_duration
from perfsuite.errors import DataError, NothingMeasuredError
from perfsuite.measure.turns import run_blocks

TURN_SECONDS = 0.4  # approximate length of a turn without workers, shorter where the time is short
MAX_BATCHES_PER_TURN = 64
CALIBRATION_TURNS = 3
CALIBRATION_BATCHES = 2
MAX_REASON_CHARS = 200
# How a setting fails whose worker dies, or for which the memory does not suffice.
WORKER_FAILURES = (RuntimeError, OSError, MemoryError, DataError)
OnProgress = Callable[[str], None]
# From the images and labels of a batch, the training step to compare loading with.
MakeStep = Callable[[torch.Tensor, torch.Tensor], StepRun]


class _TimeIsUpError(Exception):
    """The time limit ended a block."""


@dataclass
class _Sides:
    """Everything that takes turns, in the order of the values of a block."""

    runs: dict[tuple[LoaderSetting, str], LoaderRun] = field(default_factory=dict)
    first_turns: dict[LoaderSetting, FirstTurn] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)  # reasons by setting
    step: StepRun | None = None

    @property
    def every(self) -> list[SweepSide]:
        return [*self.runs.values(), *([] if self.step is None else [self.step])]


@dataclass(frozen=True)
class _Sweep:
    """What the phases of one sweep share."""

    loaders: SettingLoaders
    config: SweepConfig
    limit: TimeLimit
    on_progress: OnProgress
    cleanup: ExitStack

    def open(self, setting: LoaderSetting, mode: str, batches: int) -> TurnLoader:
        loader = self.loaders.open(setting, mode, batches)
        self.cleanup.callback(loader.close)
        return loader


def measure_sweep(
    loaders: SettingLoaders,
    config: SweepConfig,
    on_progress: OnProgress = lambda _: None,
    make_step: MakeStep | None = None,
    timer: Callable[[], float] = time.perf_counter,
) -> SweepReport:
    """Measure all settings. The time limit or KeyboardInterrupt ends the turns; whole blocks count."""
    limit, machine = TimeLimit.start(config.seconds, timer), describe_machine()
    with ExitStack() as cleanup:
        sweep = _Sweep(loaders, config, limit, on_progress, cleanup)
        settings = config.settings(loaders.engines())
        batches = _batches_per_turn(sweep, len(settings) * len(loaders.modes) + 1)
        plain = sweep.open(LoaderSetting(0), loaders.modes[0], batches)
        mean, std = image_mean_and_std(plain)
        images_per_epoch = plain.images_per_epoch()
        sides = _open_sides(sweep, settings, batches)
        if make_step is not None:
            batch = next(iter(plain.batches(0)))
            sides.step = make_step(*images_and_labels(batch, "sweep --model"))
        is_complete = _take_turns(sweep, sides.every)
    blocks = min(len(side.seconds_per_image) for side in sides.every)
    if not blocks:
        raise NothingMeasuredError("sweep: interrupted before every setting had a turn; nothing to report")
    checksums = {first.checksum for first in sides.first_turns.values()}
    return SweepReport(
        batch_size=config.batch_size,
        results=_results(sides, loaders.modes, blocks),
        augmentation_mode=loaders.modes[0],
        is_reproducible=len(checksums) == 1 if loaders.has_fixed_order else None,
        mean=mean,
        std=std,
        is_complete=is_complete,
        images_per_epoch=images_per_epoch,
        epochs=config.epochs,
        machine=machine,
        step_seconds_per_image=() if sides.step is None else tuple(sides.step.seconds_per_image[:blocks]),
        failures=sides.failures,
    )


def _results(sides: _Sides, modes: Sequence[str], blocks: int) -> tuple[SettingResult, ...]:
    return tuple(
        SettingResult(
            setting=resolved(run.setting, run.loader),
            seconds_per_image=tuple(run.seconds_per_image[:blocks]),
            other_modes={
                other: tuple(sides.runs[setting, other].seconds_per_image[:blocks]) for other in modes[1:]
            },
            batch_seconds=tuple(run.batch_seconds),
            first_batch_seconds=tuple(run.first_batch_seconds),
            core_use=run.core_use,
            memory=sides.first_turns[setting].memory,
        )
        for (setting, mode), run in sides.runs.items()
        if mode == modes[0]
    )


def _batches_per_turn(sweep: _Sweep, sides: int) -> int:
    """Enough for a turn of TURN_SECONDS without workers, and equally many for each worker.

    Turns are shorter where MIN_BLOCKS of them would not fit into the time, with two per side and block.
    """
    loader = sweep.open(LoaderSetting(0), sweep.loaders.modes[0], CALIBRATION_BATCHES)
    run = LoaderRun(LoaderSetting(0), loader)
    seconds = min(_turn_seconds(run, epoch) for epoch in range(CALIBRATION_TURNS)) / CALIBRATION_BATCHES
    turns = (2 * MIN_BLOCKS + 2) * sides  # with a first and a warm-up turn
    turn_seconds = min(TURN_SECONDS, sweep.limit.left / turns)
    most = max(1, *sweep.config.num_workers)
    batches = max(2 * most, min(MAX_BATCHES_PER_TURN, turn_seconds / seconds))
    return most * ceil(batches / most)


def _turn_seconds(run: LoaderRun, epoch: int) -> float:
    begin = time.perf_counter()
    run.turn(epoch)
    return time.perf_counter() - begin


def _open_sides(sweep: _Sweep, settings: Sequence[LoaderSetting], batches: int) -> _Sides:
    sides, modes = _Sides(), sweep.loaders.modes
    for setting in settings:
        left = format_duration(sweep.limit.left)
        sweep.on_progress(f"{setting}: memory, and a first turn of {batches} batches; {left} left")
        try:
            run = LoaderRun(setting, sweep.open(setting, modes[0], batches))
            sides.first_turns[setting] = measure_first_turn(setting, run.loader)
        except WORKER_FAILURES as error:
            if not setting.num_workers:
                raise
            sides.failures[setting.label] = str(error)[:MAX_REASON_CHARS]
            continue
        sides.runs[setting, modes[0]] = run
        for mode in modes[1:]:
            sides.runs[setting, mode] = LoaderRun(setting, sweep.open(setting, mode, batches))
    if not sides.runs:
        reason = next(iter(sides.failures.values()), "no setting")
        raise DataError(
            f"sweep: every setting failed ({reason}), expected one that loads; add --num-workers 0"
        )
    return sides


def _take_turns(sweep: _Sweep, sides: Sequence[SweepSide]) -> bool:
    """Take blocks of turns, with one sample of each side per block; False where they were interrupted."""
    epochs, done, limit = [0] * len(sides), 0, sweep.limit
    least = sweep.config.min_blocks

    def turn(index: int) -> float:
        if limit.is_over and done >= least:
            raise _TimeIsUpError
        epochs[index] += 1
        return sides[index].turn(epochs[index] - 1, processes)

    def should_stop(blocks: int) -> bool:
        return blocks >= least and limit.is_over

    try:
        sweep.on_progress(f"warming up; {format_duration(limit.left)} left")
        for side in sides:
            side.turn(0, ())
            side.clear()
        processes = psutil.Process().children(recursive=True)  # all workers; waiting ones use no CPU time
        for block in run_blocks(range(len(sides)), turn, should_stop=should_stop, rng=Random()):
            for side, sample in zip(sides, block, strict=True):
                side.seconds_per_image.append(sample)
            done += 1
            sweep.on_progress(f"{done} blocks of turns; {format_duration(limit.left)} left")
    except _TimeIsUpError:
        return True
    except KeyboardInterrupt:
        return False
    return True
