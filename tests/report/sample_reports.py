"""Invented gates for the reports."""

from __future__ import annotations

import random

from perfsuite.judge.reports import GateReport, SideRevision, WorkloadGateResult
from perfsuite.judge.stage_attribution import StageChange
from perfsuite.judge.verdict import Interval, Outcome, Verdict
from perfsuite.measure.measurement import Environment

NASTY = "test_a.py::test[<script>alert(1)</script>|`@team`\x1b[31m%,:\n]"


def verdict(name: str, outcome: Outcome, estimate: float = 0.0, metric: str = "time") -> Verdict:
    interval = Interval(estimate - 0.01, estimate + 0.01, 0.95) if metric == "time" else None
    mde = 0.031 if metric == "time" else None
    return Verdict(name, metric, outcome, f"because of {outcome}", estimate, interval, 0.01, mde)


def workload(name: str, outcome: Outcome, estimate: float = 0.0) -> WorkloadGateResult:
    chance = random.Random(name)
    timed = outcome not in {Outcome.MISSING, Outcome.NEW, Outcome.ERROR}
    return WorkloadGateResult(
        name,
        (verdict(name, outcome, estimate),),
        "benchmarks/test_a.py",
        12,
        tuple(estimate + chance.gauss(0, 0.006) for _ in range(18)) if timed else (),
        (0.0103, 0.0103 * (1 + estimate)) if timed else None,
        (
            StageChange("decode", 0.008, 0.008 + 0.0103 * estimate, 0.0103 * estimate),
            StageChange("read", 0.002, 0.002, 0.0),
        )
        if timed
        else (),
        {"dispatched_ops": (12, 12), "host_syncs": (0, 1)} if outcome is Outcome.REGRESSED else {},
    )


def report(*workloads: WorkloadGateResult, **more: object) -> GateReport:
    told = {
        "base": SideRevision("origin/main", "a" * 40, "Decode in halves"),
        "head": SideRevision("HEAD with 2 uncommitted files", "b" * 40, "Decode twice", ("a.py", "b.py")),
        "workloads": workloads,
        "environment": Environment({"cpu": "Invented 9000", "cores": "2"}, {"kernel": "6.1"}),
        "command": "perfsuite gate --base origin/main benchmarks",
        "alpha": 0.01,
        "tolerance": 0.01,
        "target_mde": 0.05,
        "max_pairs": 24,
        "pairs": 18,
        "null_log_ratios": {"test_a.py::test_kept_0": (0.001, -0.002, 0.0, 0.003, -0.001, 0.002)},
        "seconds": 123.4,
        "seed": 7,
        **more,
    }
    return GateReport(**told)  # type: ignore[arg-type]


def every_outcome() -> GateReport:
    """One of each, one with a name that wants to break out, and ten that were kept."""
    named = [
        workload(f"test_a.py::test_{outcome}", outcome, 0.052 if outcome is Outcome.REGRESSED else -0.03)
        for outcome in Outcome
        if outcome is not Outcome.KEPT
    ]
    kept = [workload(f"test_a.py::test_kept_{n}", Outcome.KEPT, 0.001) for n in range(10)]
    nasty = workload(NASTY, Outcome.REGRESSED, 0.08)
    return report(*named, *kept, nasty, skipped={"test_a.py::test_gpu": "no GPU"}, notes=("a note",))


def many(number: int) -> GateReport:
    long = "x" * 150
    return report(
        *(workload(f"test_{long}.py::test_{n}", Outcome.REGRESSED, 0.05 + n / 1e4) for n in range(number))
    )
