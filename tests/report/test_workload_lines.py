"""The lines of a workload's counters: common evidence is stated once, and no reason is taken apart."""

from __future__ import annotations

import pytest

from perfsuite.judge.counter_diff import CounterDiff, changed_verdict
from perfsuite.judge.gate_report import WorkloadGateResult
from perfsuite.judge.verdict import Verdict
from perfsuite.measure.counters.family import Direction
from perfsuite.report.workload_lines import counter_lines

LESS = Direction.LESS_IS_BETTER
SAME = "the same in 10 pairs"


def lines(*verdicts: Verdict) -> list[str]:
    return counter_lines(WorkloadGateResult("t", verdicts))


def changed(counter: str, evidence: str, direction: Direction | None = LESS) -> Verdict:
    return changed_verdict("t", counter, (1, 2), direction, evidence)


@pytest.mark.parametrize(
    ("evidence", "line"),
    [
        ((SAME, SAME), f"regressed: casts 1 -> 2 (+1), copies 1 -> 2 (+1); {SAME}"),
        ((SAME, "exact"), f"regressed: casts 1 -> 2 (+1), {SAME}; copies 1 -> 2 (+1), exact"),
        (("", ""), "regressed: casts 1 -> 2 (+1); copies 1 -> 2 (+1)"),
    ],
)
def test_evidence_is_stated_once_where_it_is_that_of_all(evidence: tuple[str, str], line: str) -> None:
    assert lines(changed("casts", evidence[0]), changed("copies", evidence[1])) == [line]


def test_a_counter_without_a_direction_says_so_behind_its_evidence() -> None:
    [line] = lines(changed("mine", SAME, None))
    assert line == (
        f"unclear: mine 1 -> 2 (+1); {SAME}; no direction is declared, so it is neither better nor worse"
    )


def test_values_that_vary_are_not_split_at_their_commas() -> None:
    varying = CounterDiff(unstable={"casts": (1, 2, 7)}).verdicts("t")
    reason = "differs between runs of the same code (1, 2, 7): shown, does not gate"
    assert lines(*varying) == [f"varies: casts {reason}"]
