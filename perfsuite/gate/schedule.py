"""How finely and how long the two sides of a pair take turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from perfsuite.judge.pair_ratio import pair_standard_error
from perfsuite.judge.units import Range


@dataclass(frozen=True, slots=True)
class TurnSchedule:
    """How long and how often each side works."""

    turn_seconds: float = 0.001  # short: a busy neighbor on the core comes and goes within milliseconds
    threads_turn_seconds: float = 0.01  # several threads take milliseconds to come to rest
    device_turn_seconds: float = 0.04  # a GPU switches processes slowly, and reading its state takes time
    min_turns: int = 8  # of each side
    min_quiet_turns: int = 4  # of each side, where they agree to `quiet_error`
    quiet_error: float = 0.005  # standard error of a pair's log ratio
    max_side_seconds: float = 1.0  # the most one side works, beyond its fewest turns
    target_error: float = 0.015  # standard error of a pair's log ratio at which no more turns are taken
    threads_target_error: float = 0.011  # with several threads, whose turns scatter more than processes do
    idle_wait_seconds: float = 0.002  # where it is unknown which threads have to come to rest
    settle_seconds: float = 0.00025  # untimed start of a turn, for the caches
    threads_settle_seconds: float = 0.001  # several threads have to wake up
    sample_seconds: float = 0.0001  # a turn is the median of its samples
    pin: bool = True  # busy threads to cores while they work
    max_retakes: int = 3  # of a turn in which the GPU was throttled
    cooling_seconds: float = 0.5
    hang_timeout_seconds: float = 120.0  # the longest silence before a side counts as hung

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name != "pin":
                is_count = field.name in ("min_turns", "min_quiet_turns", "max_retakes")
                Range(0, with_low=True, whole=is_count).check(field.name, getattr(self, field.name))

    def for_null_pairs(self) -> TurnSchedule:
        """A shorter schedule: null pairs only have to detect a persistent bias, not to measure it."""
        return replace(self, max_side_seconds=self.max_side_seconds / 4)

    def for_workload(self, threads: Sequence[int], on_device: bool) -> TurnSchedule:
        """The schedule of one workload, by the number of busy threads on either side (0: unknown)."""
        if set(threads) == {1} and not on_device:
            return self
        several = replace(self, settle_seconds=self.threads_settle_seconds)
        if on_device:
            return replace(several, turn_seconds=self.device_turn_seconds)
        return replace(
            several, turn_seconds=self.threads_turn_seconds, target_error=self.threads_target_error
        )

    def is_enough(self, first: Sequence[float], second: Sequence[float], turn_seconds: float) -> bool:
        """Whether a pair needs no more turns. Their scatter decides it, never the sign of the difference.

        `first` and `second` are the sides by who had the first turn.

        >>> TurnSchedule().is_enough([1.0] * 4, [1.1] * 4, turn_seconds=0.005)
        True
        >>> TurnSchedule().is_enough([1.0] * 4, [1.1, 1.0, 1.2, 0.9], turn_seconds=0.005)
        False
        """
        if len(first) < min(self.min_turns, self.min_quiet_turns):
            return False
        error = pair_standard_error(first, second)
        if len(first) < self.min_turns:
            return error <= self.quiet_error
        return len(first) * turn_seconds >= self.max_side_seconds or error <= self.target_error
