"""What a report says to do first."""

from __future__ import annotations

from dataclasses import replace

from perfsuite.judge.next_steps import next_steps
from perfsuite.judge.verdict import Outcome
from tests.report.sample_reports import make_gate, make_workload


def test_a_green_gate_has_none() -> None:
    assert next_steps(make_gate(make_workload("t", Outcome.KEPT), make_workload("u", Outcome.IMPROVED))) == ()


def test_the_largest_slowdown_comes_first_with_its_stage() -> None:
    gate = make_gate(
        make_workload("small", Outcome.REGRESSED, 0.1), make_workload("large", Outcome.REGRESSED, 0.5)
    )
    (step,) = next_steps(gate)
    assert step.startswith(
        "2 slower or with worse counters: begin with large (because of regressed, stage decode)"
    )


def test_unclear_names_the_options_that_would_decide() -> None:
    unclear = make_workload("t", Outcome.UNCLEAR)
    verdict = replace(unclear.verdicts[0], missing_pairs=2)
    gate = replace(make_gate(replace(unclear, verdicts=(verdict,))), advice=("--time-budget 6m",))
    assert next_steps(gate) == ("1 unclear: repeat the gate with --time-budget 6m",)
    assert "longer gate would not help" in next_steps(make_gate(unclear))[0]


def test_an_interrupted_gate_is_repeated() -> None:
    gate = replace(make_gate(make_workload("t", Outcome.UNCLEAR)), interrupted=True)
    assert next_steps(gate) == ("1 unclear: repeat the gate, which was interrupted",)


def test_an_unfit_machine_is_tested_and_not_timed_longer() -> None:
    gate = replace(make_gate(make_workload("t", Outcome.UNCLEAR)), unfit=("t",))
    assert next_steps(gate) == (
        "base differs from base, so no time was judged: perfsuite doctor tests the machine",
    )
