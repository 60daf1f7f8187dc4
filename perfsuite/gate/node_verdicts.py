"""Verdicts on tests and files that are not timed: missing, new, skipped, in error."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from perfsuite.gate.pair_result import CollectError, NodeId, NodeOutcome, WorkloadName
from perfsuite.judge.verdict import Outcome, Verdict

NEW_ON_HEAD = "runs on head; base has nothing to compare it with"
SAME_CODE = "the same code ran"


@dataclass(frozen=True, slots=True)
class NodeFinding:
    """What a test's outcomes on both sides mean: a verdict, a skip, or neither where it simply ran."""

    verdict: Verdict | None = None
    skipped: str | None = None


def judge_outcomes(node: NodeId, outcomes: Mapping[str, NodeOutcome], is_on_base: bool) -> NodeFinding:
    """Judge how a test ended on each side. A crash is an error, never a regression.

    `is_on_base`: base's own suite has this test.

    >>> outcomes = {"base": NodeOutcome("passed"), "head": NodeOutcome("failed", "boom")}
    >>> judge_outcomes("t", outcomes, True).verdict.outcome
    <Outcome.ERROR: 'error'>
    """
    bad = {side: outcome for side, outcome in outcomes.items() if outcome.is_bad}
    # Where base's crash ended the pair, head's outcome is unknown.
    if set(bad) == {"base"} and "head" in outcomes and not is_on_base:
        return NodeFinding(_verdict(node, Outcome.NEW, NEW_ON_HEAD))
    if bad:
        side = "both sides" if len(bad) == 2 else next(iter(bad))
        worst = bad.get("head") or bad["base"]
        reason = f"{worst.outcome} on {side}: {_failure_reason(worst.detail)}{_memory_hint(worst.detail)}"
        return NodeFinding(_verdict(node, Outcome.ERROR, reason))
    skipped = {
        side: _failure_reason(outcome.detail)
        for side, outcome in outcomes.items()
        if outcome.outcome in {"skipped", "xfailed"}
    }
    if len(skipped) == 2:
        return NodeFinding(skipped=skipped["head"])
    if "head" in skipped:
        reason = f"skipped on head, ran on base: {skipped['head']}"
        return NodeFinding(_verdict(node, Outcome.MISSING, reason))
    if "base" in skipped:
        reason = f"skipped on base, ran on head: {skipped['base']}"
        return NodeFinding(_verdict(node, Outcome.NEW, reason))
    return NodeFinding()


def judge_one_sided(
    name: WorkloadName, node: NodeId, side: str, is_on_base: bool, errors: Sequence[CollectError]
) -> Verdict:
    """Judge a workload that only one side reached. What base's own suite has is never called new.

    >>> judge_one_sided("t", "t", "head", True, [CollectError("t", "ImportError: no name 'f'")]).outcome
    <Outcome.ERROR: 'error'>
    """
    if side == "base":
        return _verdict(name, Outcome.MISSING, "reached on base only")
    if not is_on_base:
        return _verdict(name, Outcome.NEW, NEW_ON_HEAD)
    error = _error_of_file(node, errors)
    cause = f": {_failure_reason(error.detail)}" if error else ""
    cure = "move new benchmarks to a file of their own, or use --harness own"
    return _verdict(name, Outcome.ERROR, f"head's benchmark does not run on base{cause}; {cure}")


def summarize_collect_error(error: CollectError) -> str:
    """The cause of a failed collection in one line, without its traceback.

    >>> detail = "ImportError while importing\\nTraceback:\\nE   ImportError: no name 'f'"
    >>> summarize_collect_error(CollectError("test_a.py", detail))
    "test_a.py: ImportError: no name 'f'"
    """
    causes = _error_lines(error.detail.splitlines())
    cause = causes[0] if causes else " ".join(error.detail.split())
    return (f"{error.node}: {cause}" if error.node else cause)[:500]


def _failure_reason(detail: str) -> str:
    lines = [line.strip() for line in detail.splitlines() if line.strip()]
    reasons = _error_lines(lines) or lines[-1:]
    return (reasons[0] if reasons else "no reason given")[:300]


def _memory_hint(detail: str) -> str:
    """
    >>> _memory_hint("E   torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 40.00 GiB.")
    '; both sides are on the device at once, so its memory must hold two of them'
    """
    if "CUDA out of memory" not in detail:
        return ""
    return "; both sides are on the device at once, so its memory must hold two of them"


def _error_lines(lines: Iterable[str]) -> list[str]:
    """The lines of pytest's report that hold the exception."""
    return [line.removeprefix("E").strip() for line in lines if line.startswith("E ")]


def _error_of_file(node: str, errors: Iterable[CollectError]) -> CollectError | None:
    """The collection error of a test's file."""
    file = node.partition("::")[0]
    return next((error for error in errors if error.file == file), None)


def _verdict(name: NodeId | WorkloadName, outcome: Outcome, reason: str) -> Verdict:
    return Verdict(name, "time", outcome, reason)


def same_code_verdict(name: WorkloadName) -> Verdict:
    """The verdict on a workload that is proven to do the same on both sides."""
    return _verdict(name, Outcome.KEPT, SAME_CODE)


def find_missing_and_new(
    on_base: Iterable[NodeId],
    on_head: Iterable[NodeId],
    renames: Mapping[str, str],
    compared: frozenset[NodeId],
    errors: Mapping[str, Sequence[CollectError]],
) -> list[Verdict]:
    """Verdicts on tests that only one side's own suite has, except those in `compared`."""
    base = {NodeId(renames.get(node, node)) for node in on_base}
    head = set(on_head)
    missing = [_missing_verdict(node, errors.get("head", ())) for node in sorted(base - head)]
    new = [
        _verdict(node, Outcome.NEW, "head has it, base does not") for node in sorted(head - base - compared)
    ]
    return missing + new


def _missing_verdict(node: NodeId, head_errors: Sequence[CollectError]) -> Verdict:
    error = _error_of_file(node, head_errors)
    if error:
        return _verdict(node, Outcome.ERROR, f"not collected on head: {_failure_reason(error.detail)}")
    return _verdict(
        node,
        Outcome.MISSING,
        "base has it, head does not; if it was renamed, add it to tool.perfsuite.gate.renames; if it was "
        "removed, add it to quarantine (--rules head applies head's)",
    )


def uncollected(
    errors: Mapping[str, Sequence[CollectError]], judged: Collection[NodeId], on_head: Iterable[NodeId]
) -> list[Verdict]:
    """Verdicts on files that head could not collect and of which no test has a verdict.

    >>> error = CollectError("b.py", "ImportError: x")
    >>> uncollected({"base": [error], "head": [error]}, [], [])[0].reason
    'not collected on both sides: ImportError: x'
    """
    # A side that collected nothing is named by its tests, which are missing.
    known = {"", *(node.partition("::")[0] for node in (*judged, *on_head))}
    verdicts = {}
    for error in errors.get("head", ()):
        if error.file in known:
            continue
        sides = "both sides" if _error_of_file(error.file, errors.get("base", ())) else "head"
        reason = f"not collected on {sides}: {_failure_reason(error.detail)}"
        verdicts[error.file] = _verdict(NodeId(error.file), Outcome.ERROR, reason)
    return list(verdicts.values())


def unjudged(
    on_base: Iterable[NodeId],
    on_head: Iterable[NodeId],
    judged: Collection[NodeId],
    is_interrupted: bool = False,
) -> list[Verdict]:
    """Verdicts on tests that a side has and that no stage has judged, for whatever reason.

    >>> [verdict.outcome for verdict in unjudged(["t", "u"], ["t"], {"u"})]
    [<Outcome.ERROR: 'error'>]
    """
    base, head = set(on_base), set(on_head)
    return [
        _unjudged_verdict(node, base, head, is_interrupted) for node in sorted((base | head) - set(judged))
    ]


def _unjudged_verdict(node: NodeId, base: set[NodeId], head: set[NodeId], is_interrupted: bool) -> Verdict:
    if is_interrupted:
        return _verdict(node, Outcome.UNCLEAR, "the gate was interrupted before it ran")
    sides = "both sides" if node in base & head else "base" if node in base else "head"
    return _verdict(
        node,
        Outcome.ERROR if node in head else Outcome.MISSING,
        f"collected on {sides}, but never reached when it was to run; does a test end the session, "
        "or does its name change from one collection to the next?",
    )
