"""Everything that takes turns in a sweep, and the blocks of turns: sides may fail or be stopped early."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

import psutil

from perfsuite.advise.sweep.config import SweepConfig
from perfsuite.advise.sweep.first_turn import FirstTurn
from perfsuite.advise.sweep.loader_run import LoaderRun, StepRun, SweepSide
from perfsuite.advise.sweep.loader_setting import LoaderSetting
from perfsuite.advise.sweep.report import EQUIVALENCE_MARGIN
from perfsuite.advise.time_limit import TimeLimit, fail_when_hung, format_duration
from perfsuite.errors import DataError
from perfsuite.judge.race_elimination import is_time_to_look, sides_to_stop
from perfsuite.measure.turns import measure_block

MAX_REASON_CHARS = 200
# How a setting fails whose worker dies, or for which the memory does not suffice.
WORKER_FAILURES = (RuntimeError, OSError, MemoryError, DataError)
StatusCallback = Callable[[str], None]  # a line of text on what is measured


class _TimeIsOverError(Exception):
    """The time limit ended a block."""


class _SideFailedError(Exception):
    """A side raised an error in its turn; the block does not count."""

    def __init__(self, side: SweepSide, reason: str) -> None:
        super().__init__(reason)
        self.side = side


@dataclass
class Sides:
    """The loaders by setting and augmentation mode, a training step, and further sides by name."""

    runs: dict[tuple[LoaderSetting, str], LoaderRun] = field(default_factory=dict)
    first_turns: dict[LoaderSetting, FirstTurn] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)  # reasons by setting
    step: StepRun | None = None
    others: dict[str, SweepSide] = field(default_factory=dict)
    stopped: set[LoaderSetting] = field(default_factory=set)
    failed: set[LoaderSetting | str] = field(default_factory=set)

    @property
    def running(self) -> list[SweepSide]:
        ended = self.stopped | self.failed
        return [
            *(run for (setting, _), run in self.runs.items() if setting not in ended),
            *([] if self.step is None else [self.step]),
            *(side for name, side in self.others.items() if name not in ended),
        ]

    def fail(self, side: SweepSide, reason: str) -> None:
        """Leave out a setting in all its modes, the step, or a further side."""
        if side is self.step:
            self.step = None
            self.failures["training step"] = reason[:MAX_REASON_CHARS]
        for (setting, _), run in self.runs.items():
            if run is side:
                self.failed.add(setting)
                self.failures[setting.label] = reason[:MAX_REASON_CHARS]
        for name, other in self.others.items():
            if other is side:
                self.failed.add(name)
                self.failures[name] = reason[:MAX_REASON_CHARS]

    def measured_settings(self) -> list[LoaderSetting]:
        """The settings to report: those that did not fail, or all that were measured if every one failed."""
        measured = [
            setting
            for setting in dict.fromkeys(setting for setting, _ in self.runs)
            if all(run.seconds_per_image for (each, _), run in self.runs.items() if each == setting)
        ]
        return [setting for setting in measured if setting not in self.failed] or measured

    def running_seconds(self, mode: str) -> Mapping[LoaderSetting, Sequence[float]]:
        """The samples of the settings that still take turns, in the mode that decides."""
        ended = self.stopped | self.failed
        return {
            setting: run.seconds_per_image
            for (setting, each), run in self.runs.items()
            if each == mode and setting not in ended
        }


@dataclass
class TurnTaker:
    """Takes blocks of turns until the time is over, one setting is left, or nothing is."""

    sides: Sides
    mode: str  # that decides which settings are stopped
    config: SweepConfig
    limit: TimeLimit
    on_progress: StatusCallback
    blocks: int = 0
    _epochs: dict[int, int] = field(default_factory=dict)
    _processes: Sequence[psutil.Process] = ()

    def take(self) -> bool:
        """Take the turns; False where they were interrupted. Whole blocks count."""
        try:
            self.on_progress(f"warming up; {format_duration(self.limit.left)} left")
            for side in self.sides.running:
                self._warm_up(side)
            # All workers; waiting ones use no CPU time.
            self._processes = psutil.Process().children(recursive=True)
            while not self._is_done() and self.sides.running_seconds(self.mode):
                self._take_block()
        except KeyboardInterrupt:
            return False
        except _TimeIsOverError:
            pass
        return True

    def _warm_up(self, side: SweepSide) -> None:
        try:
            self._turn(side)
        except _SideFailedError as error:
            self.sides.fail(side, str(error))
        side.clear()

    def _take_block(self) -> None:
        sides = self.sides.running
        try:
            block = measure_block(sides, self._turn, Random())
        except _SideFailedError as error:
            self.sides.fail(error.side, str(error))
            return
        for side, sample in zip(sides, block, strict=True):
            side.seconds_per_image.append(sample)
        self.blocks += 1
        self.on_progress(
            f"{self.blocks} blocks of turns, {len(self.sides.running_seconds(self.mode))} settings; "
            f"{format_duration(self.limit.left)} left"
        )
        if self.config.stops_early and is_time_to_look(self.blocks):
            self.sides.stopped |= sides_to_stop(self.sides.running_seconds(self.mode), EQUIVALENCE_MARGIN)

    def _is_done(self) -> bool:
        if self.blocks < self.config.min_blocks:
            return False
        is_decided = self.config.stops_early and len(self.sides.running_seconds(self.mode)) == 1
        return self.limit.is_over or (is_decided and self.blocks > 0)

    def _turn(self, side: SweepSide) -> float:
        if self.limit.is_over and self.blocks >= max(1, self.config.min_blocks):
            raise _TimeIsOverError
        epoch = self._epochs.get(id(side), 0)
        self._epochs[id(side)] = epoch + 1
        try:
            with fail_when_hung(self.config.hang_seconds, "sweep"):
                return side.turn(max(0, epoch - 1), self._processes)
        except WORKER_FAILURES as error:
            raise _SideFailedError(side, str(error)) from error
