from __future__ import annotations

import pytest

from perfsuite.errors import UsageError
from perfsuite.training.step.lr_schedules import SCHEDULES, learning_rate_schedule


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_rate_is_never_above_its_peak_nor_below_zero(name: str) -> None:
    rate = learning_rate_schedule(name, steps=50, warmup_steps=5)  # type: ignore[arg-type]
    fractions = [rate(step) for step in range(60)]
    assert all(0 < fraction <= 1 for fraction in fractions)
    assert max(fractions) == pytest.approx(1.0, abs=0.01)
    assert fractions[:5] == sorted(fractions[:5])


def test_one_cycle_rises_then_falls() -> None:
    rate = learning_rate_schedule("one_cycle", steps=101)
    fractions = [rate(step) for step in range(101)]
    peak = fractions.index(max(fractions))
    assert peak == 30
    assert fractions[:31] == sorted(fractions[:31])
    assert fractions[30:] == sorted(fractions[30:], reverse=True)


def test_a_schedule_of_one_step_is_at_its_peak() -> None:
    assert learning_rate_schedule("cosine", steps=1)(0) == 1


def test_an_unknown_schedule_is_refused() -> None:
    with pytest.raises(UsageError, match="'steps' is not known"):
        learning_rate_schedule("steps", 10)  # type: ignore[arg-type]
