"""What to do first about a gate that is not green."""

from __future__ import annotations

from perfsuite.judge.gate_report import GateReport, WorkloadGateResult
from perfsuite.judge.verdict import Outcome


def next_steps(gate: GateReport) -> tuple[str, ...]:
    """The steps, the most urgent first; none for a gate that is green."""
    worst = gate.worst_first
    steps = [
        _step(
            [each for each in worst if each.outcome in {Outcome.REGRESSED, Outcome.BROKEN}],
            "slower or with worse counters",
            "perfsuite bisect finds the commit",
        ),
        _step(
            [each for each in worst if each.outcome in {Outcome.ERROR, Outcome.MISSING}], "not compared", ""
        ),
    ]
    if gate.unfit:
        steps.append("base differs from base, so no time was judged: perfsuite doctor tests the machine")
    return tuple(step for step in (*steps, unclear_step(gate)) if step)


def unclear_step(gate: GateReport) -> str:
    """What to do about the workloads that are unclear; empty if there are none, or the machine is unfit."""
    unclear = [each for each in gate.workloads if each.outcome is Outcome.UNCLEAR]
    if gate.unfit or not unclear:
        return ""
    if gate.advice and any(verdict.missing_pairs for each in unclear for verdict in each.verdicts):
        return f"{len(unclear)} unclear: repeat the gate with {' '.join(gate.advice)}"
    if gate.interrupted:
        return f"{len(unclear)} unclear: repeat the gate, which was interrupted"
    return (
        f"{len(unclear)} unclear, and a longer gate would not help: use a quieter machine "
        "(perfsuite doctor), or a larger --mde"
    )


def _step(workloads: list[WorkloadGateResult], what: str, cure: str) -> str:
    if not workloads:
        return ""
    first = workloads[0]
    stage = f", stage {first.attributed_stage}" if first.attributed_stage else ""
    return f"{len(workloads)} {what}: begin with {first.name} ({first.worst.explanation}{stage})" + (
        f"; {cure}" if cure else ""
    )
