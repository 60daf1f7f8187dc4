"""Learning-rate schedules as pure functions of the step: a resumed run has no schedule state to restore."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from perfsuite.errors import UsageError

ScheduleName = Literal["constant", "cosine", "one_cycle"]

FINAL_RATE_FRACTION = 0.01  # of the peak rate, at the last step of cosine and one-cycle
ONE_CYCLE_INITIAL_FRACTION = 0.04  # of the peak rate
ONE_CYCLE_WARMUP_FRACTION = 0.3  # of the steps


def learning_rate_schedule(name: ScheduleName, steps: int, warmup_steps: int = 0) -> Callable[[int], float]:
    """Return a function from a step to its fraction of the peak learning rate.

    >>> rate = learning_rate_schedule("cosine", steps=100)
    >>> [round(rate(step), 3) for step in (0, 50, 99)]
    [1.0, 0.497, 0.01]
    """
    if name not in SCHEDULES:
        raise UsageError(f"schedule: {name!r} is not known, expected {', '.join(SCHEDULES)}")
    shape = SCHEDULES[name]
    last_step = max(steps - warmup_steps - 1, 1)

    def rate_fraction(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / (warmup_steps + 1)
        return shape(min((step - warmup_steps) / last_step, 1.0))

    return rate_fraction


def _constant(progress: float) -> float:
    return 1.0


def _cosine(progress: float) -> float:
    return _cosine_interpolation(1.0, FINAL_RATE_FRACTION, progress)


def _one_cycle(progress: float) -> float:
    if progress < ONE_CYCLE_WARMUP_FRACTION:
        return _cosine_interpolation(ONE_CYCLE_INITIAL_FRACTION, 1.0, progress / ONE_CYCLE_WARMUP_FRACTION)
    return _cosine_interpolation(
        1.0, FINAL_RATE_FRACTION, (progress - ONE_CYCLE_WARMUP_FRACTION) / (1 - ONE_CYCLE_WARMUP_FRACTION)
    )


def _cosine_interpolation(first: float, last: float, progress: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * progress)) / 2


# Each maps the progress after warm-up, from 0 to 1, to a fraction of the peak rate.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": _constant,
    "cosine": _cosine,
    "one_cycle": _one_cycle,
}
