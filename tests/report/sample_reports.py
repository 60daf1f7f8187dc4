"""Invented gates and comparisons."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from perfsuite.judge.gate_report import GateReport, SideRevision, WorkloadGateResult
from perfsuite.judge.stage_attribution import StageChange
from perfsuite.judge.stored_runs import ComparisonReport
from perfsuite.judge.verdict import Interval, Outcome, Verdict
from perfsuite.measure.measurement import Environment
from perfsuite.report.report import Report, report_comparison, report_gate

HOSTILE_NAME = "test_a.py::test[<script>alert(1)</script>|`@team`\x1b[31m%,:\n]"


def make_verdict(
    workload: str,
    outcome: Outcome,
    estimate: float = 0.0,
    *,
    metric: str = "time",
    reason: str = "",
) -> Verdict:
    is_time = metric == "time"
    return Verdict(
        workload,
        metric,
        outcome,
        reason or f"because of {outcome}",
        estimate=estimate,
        interval=Interval(estimate - 0.01, estimate + 0.01, 0.95) if is_time else None,
        bound=0.01,
        mde=0.031 if is_time else None,
    )


def make_workload(name: str, outcome: Outcome, estimate: float = 0.0) -> WorkloadGateResult:
    result = WorkloadGateResult(
        name=name,
        verdicts=(make_verdict(name, outcome, estimate),),
        file="benchmarks/test_a.py",
        line=12,
        counters={"dispatched_ops": (12, 12), "host_syncs": (0, 1)} if outcome is Outcome.REGRESSED else {},
    )
    if outcome in {Outcome.MISSING, Outcome.NEW, Outcome.ERROR}:
        return result  # neither has a time on both sides
    rng = random.Random(name)
    decode_seconds = 0.0103 * estimate
    return replace(
        result,
        log_ratios=tuple(estimate + rng.gauss(0, 0.006) for _ in range(18)),
        seconds_per_call=(0.0103, 0.0103 * (1 + estimate)),
        stages=(
            StageChange("decode", 0.008, 0.008 + decode_seconds, decode_seconds),
            StageChange("read", 0.002, 0.002, 0.0),
        ),
    )


GATE = GateReport(
    base=SideRevision("origin/main", "a" * 40, "Decode in halves"),
    head=SideRevision("HEAD with 2 uncommitted files", "b" * 40, "Decode twice", ("a.py", "b.py")),
    workloads=(),
    environment=Environment({"cpu": "Invented 9000", "cores": "2"}, {"kernel": "6.1"}),
    command="perfsuite gate --base origin/main benchmarks",
    alpha=0.01,
    tolerance=0.01,
    target_mde=0.05,
    max_pairs=24,
    pairs=18,
    null_log_ratios={"test_a.py::test_kept_0": (0.001, -0.002, 0.0, 0.003, -0.001, 0.002)},
    seconds=123.4,
    seed=7,
)


def make_gate(*workloads: WorkloadGateResult) -> GateReport:
    return replace(GATE, workloads=workloads)


def make_gate_report(*workloads: WorkloadGateResult) -> Report:
    return report_gate(make_gate(*workloads))


def all_outcomes() -> Report:
    """A gate with each outcome once, a hostile name, and ten kept workloads."""
    named = [
        make_workload(f"test_a.py::test_{outcome}", outcome, 0.052 if outcome is Outcome.REGRESSED else -0.03)
        for outcome in Outcome
        if outcome is not Outcome.KEPT
    ]
    kept = [make_workload(f"test_a.py::test_kept_{n}", Outcome.KEPT, 0.001) for n in range(10)]
    hostile = make_workload(HOSTILE_NAME, Outcome.REGRESSED, 0.08)
    gate = make_gate(*named, *kept, hostile)
    return report_gate(replace(gate, skipped={"test_a.py::test_gpu": "no GPU"}, notes=("a note",)))


def many_regressed_gate(number: int) -> GateReport:
    long = "x" * 150
    return make_gate(
        *(
            make_workload(f"test_{long}.py::test_{n}", Outcome.REGRESSED, 0.05 + n / 1e4)
            for n in range(number)
        )
    )


def many_regressed(number: int) -> Report:
    return report_gate(many_regressed_gate(number))


def make_comparison(
    verdicts: Sequence[Verdict], *, warnings: Sequence[str] = (), sides: Sequence[str] = ()
) -> Report:
    """Stored runs A and B."""
    return report_comparison(
        ComparisonReport(tuple(verdicts), tuple(warnings)),
        sides=sides or ("A: main, 3 runs of aaaaaaaaaaaa", "B: head, 3 runs of bbbbbbbbbbbb"),
        history_runs=12,
        alpha=0.01,
        exit_code=1,
    )
