"""Measure loader settings in turns in one process: while one iterates over its batches, the others wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import ceil

import torch

from perfsuite.advise.confidence import MIN_BLOCKS
from perfsuite.advise.inputs.batches import images_and_labels
from perfsuite.advise.machine import describe_machine
from perfsuite.advise.sweep.config import SweepConfig
from perfsuite.advise.sweep.first_turn import image_mean_and_std, measure_first_turn
from perfsuite.advise.sweep.loader_run import LoaderRun, StepRun, SweepSide
from perfsuite.advise.sweep.loader_setting import LoaderSetting
from perfsuite.advise.sweep.report import TIME_WAS_OVER, SweepReport
from perfsuite.advise.sweep.setting_loaders import SettingLoaders, TurnLoader, resolved
from perfsuite.advise.sweep.setting_result import SettingResult
from perfsuite.advise.sweep.sides import (
    MAX_REASON_CHARS,
    WORKER_FAILURES,
    Sides,
    StatusCallback,
    TurnTaker,
)
from perfsuite.advise.time_limit import TimeLimit, fail_when_hung, format_duration
from perfsuite.errors import DataError

TURN_SECONDS = 0.4  # approximate length of a turn without workers, shorter where the time is short
MAX_BATCHES_PER_TURN = 64
CALIBRATION_TURNS = 3
CALIBRATION_BATCHES = 2
# A first turn that takes so many times the expected one's time hangs, or its setting cannot win.
MAX_SLOWDOWN, MIN_HANG_SECONDS = 20, 15.0
# From the images and labels of a batch, the training step to compare loading with.
MakeStep = Callable[[torch.Tensor, torch.Tensor], StepRun]
# From the batches of a turn, further sides by name; what they open is closed with the sweep.
MakeOtherSides = Callable[[int, ExitStack], Mapping[str, SweepSide]]


@dataclass(frozen=True)
class _Sweep:
    """What the phases of one sweep share."""

    loaders: SettingLoaders
    config: SweepConfig
    limit: TimeLimit
    on_progress: StatusCallback
    cleanup: ExitStack

    def open(self, setting: LoaderSetting, mode: str, batches: int) -> TurnLoader:
        loader = self.loaders.open(setting, mode, batches)
        self.cleanup.callback(loader.close)
        return loader


def measure_sweep(
    loaders: SettingLoaders,
    config: SweepConfig,
    on_progress: StatusCallback = lambda _: None,
    make_step: MakeStep | None = None,
    timer: Callable[[], float] = time.perf_counter,
    make_other_sides: MakeOtherSides | None = None,
) -> SweepReport:
    """Measure all settings. The time limit or KeyboardInterrupt ends the turns; whole blocks count.

    KeyboardInterrupt is passed on where there is no whole block.
    """
    limit, machine = TimeLimit.start(config.seconds, timer), describe_machine()
    with ExitStack() as cleanup:
        sweep = _Sweep(loaders, config, limit, on_progress, cleanup)
        settings = config.settings(loaders.engines())
        batches, turn_seconds = _batches_per_turn(sweep, len(settings) * len(loaders.modes) + 1)
        plain = sweep.open(LoaderSetting(0), loaders.modes[0], batches)
        mean, std = image_mean_and_std(plain)
        images_per_epoch = plain.images_per_epoch()
        sides = _open_sides(sweep, settings, batches, turn_seconds)
        if make_step is not None:
            batch = next(iter(plain.batches(0)))
            sides.step = make_step(*images_and_labels(batch, "sweep --model"))
        if make_other_sides is not None:
            sides.others.update(make_other_sides(batches, cleanup))
        is_complete = TurnTaker(sides, loaders.modes[0], config, limit, on_progress).take()
    if not sides.measured_settings():
        raise _every_setting_failed(sides) if sides.failures else KeyboardInterrupt
    return SweepReport(
        batch_size=config.batch_size,
        results=_results(sides, loaders.modes),
        augmentation_mode=loaders.modes[0],
        is_reproducible=_is_reproducible(sides) if loaders.has_fixed_order else None,
        mean=mean,
        std=std,
        is_complete=is_complete,
        images_per_epoch=images_per_epoch,
        epochs=config.epochs,
        machine=machine,
        step_seconds_per_image=() if sides.step is None else tuple(sides.step.seconds_per_image),
        device_peak_bytes=None if sides.step is None else sides.step.device_peak_bytes,
        failures=sides.failures,
        other_sides={name: tuple(side.seconds_per_image) for name, side in sides.others.items()},
    )


def _is_reproducible(sides: Sides) -> bool:
    """Whether the settings that must give the same batches, of one decoder and batch size, do."""
    checksums: dict[tuple[str | None, int | None], set[str]] = {}
    for setting, first in sides.first_turns.items():
        checksums.setdefault((setting.decoder, setting.batch_size), set()).add(first.checksum)
    return all(len(equal) == 1 for equal in checksums.values())


def _every_setting_failed(sides: Sides) -> DataError:
    reason = next(iter(sides.failures.values()), "no setting")
    return DataError(f"sweep: every setting failed ({reason}), expected one that loads; add --num-workers 0")


def _results(sides: Sides, modes: Sequence[str]) -> tuple[SettingResult, ...]:
    return tuple(
        SettingResult(
            setting=resolved(run.setting, run.loader),
            seconds_per_image=tuple(run.seconds_per_image),
            other_modes={other: tuple(sides.runs[setting, other].seconds_per_image) for other in modes[1:]},
            batch_seconds=tuple(run.batch_seconds),
            first_batch_seconds=tuple(run.first_batch_seconds),
            core_use=run.core_use,
            memory=sides.first_turns[setting].memory,
            is_stopped=setting in sides.stopped,
        )
        for setting in sides.measured_settings()
        for run in [sides.runs[setting, modes[0]]]
    )


def _batches_per_turn(sweep: _Sweep, sides: int) -> tuple[int, float]:
    """Enough for a turn of TURN_SECONDS without workers, and equally many for each worker; and its seconds.

    Turns are shorter where MIN_BLOCKS of them would not fit into the time, with two per side and block. Every
    worker makes two batches in a turn, or one where only that fits.
    """
    loader = sweep.open(LoaderSetting(0), sweep.loaders.modes[0], CALIBRATION_BATCHES)
    run = LoaderRun(LoaderSetting(0), loader)
    with fail_when_hung(sweep.config.hang_seconds, "sweep"):
        seconds = min(_turn_seconds(run, epoch) for epoch in range(CALIBRATION_TURNS)) / CALIBRATION_BATCHES
    turns = (2 * MIN_BLOCKS + 2) * sides  # with a first and a warm-up turn
    turn_seconds = min(TURN_SECONDS, sweep.limit.left / turns)
    most = max(1, *sweep.config.num_workers)
    fewest = 2 * most
    if max(2, most) * seconds <= sweep.limit.left / turns < fewest * seconds:
        fewest = max(2, most)
    batches = max(fewest, min(MAX_BATCHES_PER_TURN, turn_seconds / seconds))
    whole = most * ceil(batches / most)
    return whole, whole * seconds


def _turn_seconds(run: LoaderRun, epoch: int) -> float:
    begin = time.perf_counter()
    run.turn(epoch)
    return time.perf_counter() - begin


def _open_sides(sweep: _Sweep, settings: Sequence[LoaderSetting], batches: int, turn_seconds: float) -> Sides:
    sides, modes = Sides(), sweep.loaders.modes
    hang_seconds = min(sweep.config.hang_seconds, max(MIN_HANG_SECONDS, MAX_SLOWDOWN * turn_seconds))
    for setting in settings:
        if sweep.config.stops_early and sides.runs and sweep.limit.is_over:
            sides.failures[setting.label] = TIME_WAS_OVER
            continue
        left = format_duration(sweep.limit.left)
        sweep.on_progress(f"{setting}: memory, and a first turn of {batches} batches; {left} left")
        try:
            run = LoaderRun(setting, sweep.open(setting, modes[0], batches))
            with fail_when_hung(hang_seconds, "sweep"):
                sides.first_turns[setting] = measure_first_turn(setting, run.loader)
        except WORKER_FAILURES as error:
            sides.failures[setting.label] = str(error)[:MAX_REASON_CHARS]
            continue
        sides.runs[setting, modes[0]] = run
        for mode in modes[1:]:
            sides.runs[setting, mode] = LoaderRun(setting, sweep.open(setting, mode, batches))
    if not sides.runs:
        raise _every_setting_failed(sides)
    return sides
