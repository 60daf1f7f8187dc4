"""What is said of a gate in the end."""

from __future__ import annotations

import time
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from perfsuite.gate import findings
from perfsuite.gate.followed import Followed
from perfsuite.judge import pairs
from perfsuite.judge.gated import Gated, GateReport, Side
from perfsuite.judge.moved import stage_changes
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.measure.environment import environment

if TYPE_CHECKING:
    from perfsuite.gate.gate import Run


def conclude(run: Run, command: str, seed: int) -> GateReport:
    """Everything one gate found, as the one value that every report is made from."""
    unfit = pairs.unfit(run.null, run.settings.tolerance)
    workloads = [_gated(run, found, bool(unfit)) for found in run.followed.values()]
    workloads += [
        Gated(name, tuple(_exempt(run, verdict) for verdict in verdicts), *_place(run, name))
        for name, verdicts in run.verdicts.items()
        if name not in run.followed and verdicts
    ]
    workloads += [
        Gated(verdict.workload, (_exempt(run, verdict),), *_place(run, verdict.workload))
        for verdict in findings.unjudged(
            run.on_base(), run.suites.nodes("head"), run.judged(), run.is_interrupted
        )
    ]
    base, head = (_side(run, side) for side in ("base", "head"))
    held_back = sum(found.held_back for found in run.followed.values())
    if held_back:
        run.notes.append(f"{held_back} turns were taken with a throttled GPU, even when taken again")
    return GateReport(
        base,
        head,
        tuple(workloads),
        environment(),
        command,
        run.settings.alpha,
        run.settings.tolerance,
        run.settings.mde,
        run.settings.max_pairs,
        run.pairs,
        {name: tuple(seen) for name, seen in run.null.items()},
        unfit,
        dict(run.skipped),
        tuple(dict.fromkeys(run.notes)),
        time.monotonic() - run.begin,
        seed,
        run.is_interrupted,
    )


def _gated(run: Run, found: Followed, unfit: bool) -> Gated:
    decision = found.decision or found.decide(run.rule, run.tolerance(found.name), spent=True)
    verdict = decision.verdict(found.name, run.tolerance(found.name))
    if unfit:
        reason = f"base differs from base on this machine; {verdict.reason}"
        verdict = replace(verdict, outcome=Outcome.UNCLEAR, reason=reason)
    seconds = (
        (median(b for b, _ in found.seconds), median(h for _, h in found.seconds)) if found.seconds else None
    )
    return Gated(
        found.name,
        tuple(_exempt(run, v) for v in (verdict, *run.verdicts.get(found.name, ()))),
        *_place(run, found.node),
        tuple(found.log_ratios),
        seconds,
        stage_changes(found.stages) if found.stages else (),
        run.counters.get(found.name, {}),
        tuple(found.errors),
    )


def _exempt(run: Run, verdict: Verdict) -> Verdict:
    entry = run.settings.quarantined(verdict.workload)
    if entry is None or not (verdict.is_red or verdict.outcome is Outcome.UNCLEAR):
        return verdict
    reason = f"{verdict.outcome}: {verdict.reason}; quarantined until {entry.expires}: {entry.reason}"
    return replace(verdict, outcome=Outcome.QUARANTINED, reason=reason)


def _place(run: Run, node: str) -> tuple[str, int]:
    for side in ("head", "base"):
        if node in run.suites.own[side].places:
            return run.suites.own[side].places[node]
    return node.split("::", 1)[0], 0


def _side(run: Run, side: str) -> Side:
    tree = run.stand.trees[side]
    return Side(tree.label, tree.commit, run.stand.repository.subject(tree.commit), tree.uncommitted)
