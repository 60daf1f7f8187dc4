"""The exit code of a gate, and the stage that a change is attributed to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfsuite.judge.stage_attribution import attribute_change, stage_changes
from perfsuite.judge.verdict import Outcome
from tests.report.sample_reports import make_gate, make_workload

EXITS = [
    ([], 12),
    ([Outcome.KEPT], 0),
    ([Outcome.KEPT, Outcome.IMPROVED, Outcome.NEW, Outcome.QUARANTINED], 0),
    ([Outcome.NEW], 12),
    ([Outcome.KEPT, Outcome.REGRESSED], 1),
    ([Outcome.KEPT, Outcome.REGRESSED, Outcome.MISSING, Outcome.ERROR], 1),
    ([Outcome.KEPT, Outcome.MISSING], 12),
    ([Outcome.KEPT, Outcome.ERROR], 12),
    ([Outcome.KEPT, Outcome.UNCLEAR], 10),
]


@pytest.mark.parametrize(("outcomes", "code"), EXITS)
def test_the_worst_outcome_decides_and_nothing_compared_is_never_green(
    outcomes: list[Outcome], code: int
) -> None:
    gate = make_gate(*(make_workload(f"t{n}", outcome) for n, outcome in enumerate(outcomes)))
    assert gate.exit_code == code


@pytest.mark.parametrize(
    ("outcome", "code"), [(Outcome.UNCLEAR, 11), (Outcome.KEPT, 11), (Outcome.REGRESSED, 1)]
)
def test_an_unfit_machine_is_never_green_and_hides_no_counter(outcome: Outcome, code: int) -> None:
    assert replace(make_gate(make_workload("t", outcome)), unfit=("t",)).exit_code == code


def test_the_stage_that_explains_the_change_is_named() -> None:
    pairs = [({"read": 1.0, "decode": 4.0}, {"read": 1.1, "decode": 4.5})] * 3
    changes = stage_changes(pairs)
    assert [change.stage for change in changes] == ["decode", "read"]
    assert attribute_change(changes, slower=True) == "decode"
    assert attribute_change(changes, slower=False) is None


def test_one_odd_pair_does_not_name_a_stage() -> None:
    usual = ({"read": 1.0, "decode": 4.0}, {"read": 1.2, "decode": 4.0})
    odd = ({"read": 1.0, "decode": 4.0}, {"read": 1.2, "decode": 9.0})
    assert attribute_change(stage_changes([usual, usual, odd]), slower=True) == "read"


def test_a_workload_without_stages_names_none() -> None:
    assert attribute_change(stage_changes([]), slower=True) is None


def test_a_stage_on_one_side_only_counts_as_new_work() -> None:
    assert attribute_change(stage_changes([({}, {"convert": 0.1})]), slower=True) == "convert"


def test_workloads_are_listed_by_severity_and_size_of_the_change() -> None:
    """A large improvement comes before a small one, as in every other report."""
    gate = make_gate(
        make_workload("kept", Outcome.KEPT),
        make_workload("small", Outcome.IMPROVED, -0.1),
        make_workload("large", Outcome.IMPROVED, -0.5),
        make_workload("slow", Outcome.REGRESSED, 0.05),
    )
    assert [workload.name for workload in gate.worst_first] == ["slow", "large", "small", "kept"]
    assert gate.headline == "1 regressed, 2 improved, 1 kept"
