"""When a pair has taken enough turns."""

from __future__ import annotations

from perfsuite.gate.schedule import TurnSchedule


def test_whether_turns_are_enough_does_not_depend_on_which_side_is_slower() -> None:
    schedule = TurnSchedule(min_turns=4, max_side_seconds=0.8)
    quick, slow = [1.0, 1.2, 0.9, 1.1, 1.3, 0.8] * 4, [1.1, 1.3, 1.2, 0.9, 1.4, 1.0] * 4
    for turns in range(2, 25):
        pairs = ((quick[:turns], slow[:turns]), (slow[:turns], quick[:turns]))
        assert len({schedule.is_enough(base, head, 0.01) for base, head in pairs}) == 1
    assert not schedule.is_enough([1.0] * 2, [1.0] * 2, 0.01)
    assert schedule.is_enough([1.0] * 4, [1.0] * 4, 0.01)
    assert not schedule.is_enough(quick, slow, 0.01)
    assert schedule.is_enough(quick, slow, 0.04)


def test_turns_that_agree_closely_are_enough_earlier() -> None:
    quiet, noisy = [1.0, 1.001, 0.999, 1.0] * 2, [1.0, 1.05, 0.95, 1.02] * 2
    schedule = TurnSchedule(max_side_seconds=0.0)
    for turns, (is_quiet_enough, is_noisy_enough) in {
        2: (False, False),
        4: (True, False),
        8: (True, True),
    }.items():
        steady = [1.0] * turns
        assert schedule.is_enough(steady, quiet[:turns], 0.01) is is_quiet_enough
        assert schedule.is_enough(steady, noisy[:turns], 0.01) is is_noisy_enough
