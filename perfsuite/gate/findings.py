"""What is said of benchmarks that could not be compared: missing, new, skipped, in error; and of counters."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from perfsuite.gate.turns import NodeOutcome
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.measure.counters.registry import LESS_IS_BETTER

SideCounts = Mapping[str, Sequence[Mapping[str, int]]]  # side -> repeated counts


@dataclass(frozen=True, slots=True)
class NodeFinding:
    """What a test's ends on both sides mean: a verdict, a skip, or nothing where it simply ran."""

    verdict: Verdict | None = None
    skipped: str | None = None


def judge_outcomes(node: str, ends: Mapping[str, NodeOutcome], on_base_before: bool) -> NodeFinding:
    """A crash is an error, never a regression. `on_base_before`: base's own suite has this test.

    >>> ends = {"base": NodeOutcome("passed"), "head": NodeOutcome("failed", "boom")}
    >>> judge_outcomes("t", ends, True).verdict.outcome
    <Outcome.ERROR: 'error'>
    """
    bad = {side: end for side, end in ends.items() if end.is_bad}
    # Where base took the pair with it, nothing is known of head.
    if set(bad) == {"base"} and "head" in ends and not on_base_before:
        return NodeFinding(
            Verdict(node, "time", Outcome.NEW, "runs on head; base has nothing to compare it with")
        )
    if bad:
        side = "both sides" if len(bad) == 2 else next(iter(bad))
        end = bad.get("head") or bad["base"]
        return NodeFinding(
            Verdict(node, "time", Outcome.ERROR, f"{end.outcome} on {side}: {_failure_reason(end.detail)}")
        )
    skipped = {side: end for side, end in ends.items() if end.outcome in {"skipped", "xfailed"}}
    if len(skipped) == 2:
        return NodeFinding(skipped=_failure_reason(skipped["head"].detail))
    if set(skipped) == {"head"}:
        why = _failure_reason(skipped["head"].detail)
        return NodeFinding(Verdict(node, "time", Outcome.MISSING, f"skipped on head, ran on base: {why}"))
    if set(skipped) == {"base"}:
        why = _failure_reason(skipped["base"].detail)
        return NodeFinding(Verdict(node, "time", Outcome.NEW, f"skipped on base, ran on head: {why}"))
    return NodeFinding()


def judge_one_sided(name: str, node: str, side: str, on_base_before: bool, errors: Sequence[str]) -> Verdict:
    """A benchmark that only one side came to. What base itself has is never called new.

    >>> judge_one_sided("t", "t", "head", True, ["t: ImportError: no name 'f'"]).outcome
    <Outcome.ERROR: 'error'>
    """
    if side == "base":
        return Verdict(name, "time", Outcome.MISSING, "reached on base only")
    if not on_base_before:
        return Verdict(name, "time", Outcome.NEW, "runs on head; base has nothing to compare it with")
    file = node.partition("::")[0]
    wrong = next((error for error in errors if error.startswith(file)), "")
    why = f": {_failure_reason(wrong)}" if wrong else ""
    cure = "split what is new from what was there, or use --harness own"
    return Verdict(name, "time", Outcome.ERROR, f"head's benchmark does not run on base{why}; {cure}")


def summarize_collect_error(error: str) -> str:
    """The cause of a failed collection in one line, without the way that led to it.

    >>> error = "test_a.py: ImportError while importing\\nTraceback:\\nE   ImportError: no name 'f'"
    >>> summarize_collect_error(error)
    "test_a.py: ImportError: no name 'f'"
    """
    causes = [line.removeprefix("E").strip() for line in error.splitlines() if line.startswith("E ")]
    if causes:
        return f"{error.partition(': ')[0]}: {causes[0]}"[:500]
    return " ".join(error.split())[:500]


def _failure_reason(detail: str) -> str:
    lines = [line.strip() for line in detail.splitlines() if line.strip()]
    told = [line.removeprefix("E").strip() for line in lines if line.startswith("E ")] or lines[-1:]
    return (told[0] if told else "no reason given")[:300]


def judge_counters(
    name: str, first: SideCounts, again: SideCounts | None, allowed: Mapping[str, int] | None = None
) -> tuple[tuple[Verdict, ...], dict[str, tuple[int, int]], tuple[str, ...]]:
    """Verdicts on counters that differ, all steady counters (base, head), and those that do not repeat.

    >>> counts = {"base": [{"copies": 1}] * 2, "head": [{"copies": 2}] * 2}
    >>> [v.outcome for v in judge_counters("t", counts, counts)[0]]
    [<Outcome.REGRESSED: 'regressed'>]
    """
    seen = [*first.get("base", ()), *(again or {}).get("base", ())]
    other = [*first.get("head", ()), *(again or {}).get("head", ())]
    verdicts, steady, restless = [], {}, []
    for counter in sorted({key for counts in (*seen, *other) for key in counts}):
        base = {counts.get(counter, 0) for counts in seen}
        head = {counts.get(counter, 0) for counts in other}
        if len(base) != 1 or len(head) != 1:
            restless.append(counter)
            continue
        was, now = base.pop(), head.pop()
        steady[counter] = (was, now)
        if was != now:
            verdicts.append(_counter_verdict(name, counter, was, now, (allowed or {}).get(counter, 0)))
    return tuple(verdicts), steady, tuple(restless)


def _counter_verdict(name: str, counter: str, was: int, now: int, allowed: int) -> Verdict:
    more = now - was
    if counter not in LESS_IS_BETTER:
        outcome = Outcome.KEPT
    else:
        outcome = Outcome.IMPROVED if more < 0 else Outcome.KEPT if more <= allowed else Outcome.REGRESSED
    estimate = more / was if was else None
    return Verdict(
        name, counter, outcome, f"{was:,} -> {now:,} ({more:+,})", estimate=estimate, bound=allowed
    )


def find_counter_changes(counts: Mapping[str, SideCounts]) -> list[str]:
    """The workloads that are worth counting again: the two sides do not agree."""
    return [name for name, sides in counts.items() if judge_counters(name, sides, None)[0]]


def find_missing_and_new(
    on_base: Iterable[str],
    on_head: Iterable[str],
    renames: Mapping[str, str],
    compared: frozenset[str],
    broken: Mapping[str, Sequence[str]],
) -> list[Verdict]:
    """Missing and new benchmarks, by what each side's own suite holds; `compared` are neither."""
    base = {renames.get(name, name) for name in on_base}
    head = set(on_head)
    found = []
    for name in sorted(base - head):
        file = name.split("::", 1)[0]
        wrong = next((error for error in broken.get("head", ()) if error.startswith(file)), "")
        if wrong:
            found.append(
                Verdict(name, "time", Outcome.ERROR, f"not collected on head: {_failure_reason(wrong)}")
            )
        else:
            reason = (
                "base has it, head does not; where it was renamed say so under tool.perfsuite.gate.renames, "
                "where it is to go name it under quarantine"
            )
            found.append(Verdict(name, "time", Outcome.MISSING, reason))
    found += [
        Verdict(name, "time", Outcome.NEW, "head has it, base does not")
        for name in sorted(head - base - compared)
    ]
    return found


def unjudged(
    on_base: Iterable[str], on_head: Iterable[str], judged: Collection[str], interrupted: bool = False
) -> list[Verdict]:
    """A verdict for each benchmark that a side holds and that has none, however that came about.

    >>> [v.outcome for v in unjudged(["t", "u"], ["t"], {"u"})]
    [<Outcome.ERROR: 'error'>]
    """
    base, head = set(on_base), set(on_head)
    found = []
    for node in sorted((base | head) - set(judged)):
        sides = "both sides" if node in base & head else "base" if node in base else "head"
        if interrupted:
            outcome, reason = Outcome.UNCLEAR, "interrupted before its turn"
        else:
            outcome = Outcome.ERROR if node in head else Outcome.MISSING
            reason = (
                f"collected on {sides}, but never reached when it was to run; does a test end the session, "
                "or does its name change from one collection to the next?"
            )
        found.append(Verdict(node, "time", outcome, reason))
    return found
