"""The gate: prepare, count, then pair after pair until every workload is decided or the time is spent."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from perfsuite.gate import findings
from perfsuite.gate.build_report import build_report
from perfsuite.gate.pair_runner import CollectedSuites, PairRunner, collect_suites, prepare_sides
from perfsuite.gate.settings import GateSettings
from perfsuite.gate.turns import NodeOutcome, PairResult
from perfsuite.gate.workload_state import WorkloadState
from perfsuite.gate.workspace import gate_workspace
from perfsuite.gate.worktree import Repository
from perfsuite.judge import sequential_rule
from perfsuite.judge.reports import GateReport
from perfsuite.judge.sequential_rule import SequentialRule
from perfsuite.judge.verdict import Outcome, Verdict

MAX_RECOUNTS = 8  # tests that end their process before the others are counted

OnProgress = Callable[[str], None]


def gate(
    settings: GateSettings, here: Path, command: str = "", tell: OnProgress = lambda _: None
) -> GateReport:
    """Compare two states of the repository that `here` lies in."""
    begin = time.monotonic()
    seed = settings.seed if settings.seed is not None else secrets.randbelow(2**32)
    repository = Repository.at(here)
    with (
        gate_workspace(repository.git_directory) as place,
        prepare_sides(repository, settings, place, random.Random(seed), tell) as stand,
    ):
        run = GateRun(stand, collect_suites(stand), begin, tell)
        try:
            run.run()
        except KeyboardInterrupt:
            run.mark_interrupted()
        return build_report(run, command, seed)


class GateRun:
    """The state of one gate between its pairs."""

    def __init__(self, stand: PairRunner, suites: CollectedSuites, begin: float, tell: OnProgress) -> None:
        self.runner, self.settings, self.suites, self.on_progress = stand, stand.settings, suites, tell
        self.started_at = begin
        self.deadline = begin + stand.settings.time_budget_seconds
        self.workloads: dict[str, WorkloadState] = {}
        self.verdicts: dict[str, list[Verdict]] = {}  # by workload: all that is not about time
        self.dropped: set[str] = set()  # tests that left the gate with a verdict
        self.counters: dict[str, dict[str, tuple[int, int]]] = {}
        self.skipped: dict[str, str] = {}
        self.notes: list[str] = []
        self.null: dict[str, list[float]] = {}
        self.null_workloads: tuple[str, ...] = ()
        self.pairs = 0
        self.rule = SequentialRule(1)
        self.pair_seconds = 0.0
        self.is_interrupted = False

    def run(self) -> None:
        suites = self.suites
        trees, repository = self.runner.worktrees, self.runner.repository
        self._note(repository.divergence_note(trees["head"].commit, trees["base"].commit))
        wanted = self._nodes_to_run()
        if wanted:
            self._count_benchmarks(wanted)
        compared = frozenset(found.node for found in self.workloads.values())
        broken = {side: suites.by_side[side].errors for side in suites.by_side}
        for verdict in findings.find_missing_and_new(
            suites.nodes("base"), suites.nodes("head"), self.settings.renames, compared, broken
        ):
            if verdict.outcome is Outcome.NEW and verdict.workload in wanted:
                continue  # it was to run: where it was not reached it is no good news
            if verdict.workload not in self.judged():
                self.verdicts.setdefault(verdict.workload, []).append(verdict)
        for side, errors in broken.items():
            self.notes += [
                f"{side}: collection failed: {findings.summarize_collect_error(error)}" for error in errors
            ]
        self.rule = SequentialRule(
            max(1, len(self.workloads)),
            self.settings.alpha,
            self.settings.tolerance,
            self.settings.max_pairs,
            self.settings.mde,
        )
        if self.rule.min_pairs > self.rule.max_pairs:
            self._note(
                f"{self.rule.max_pairs} pairs cannot accuse anyone: with {self.rule.workloads} workloads and "
                f"a chance of error of {self.rule.alpha:g} it takes {self.rule.min_pairs} (--max-pairs)"
            )
        self._run_timed_pairs()

    def mark_interrupted(self) -> None:
        """Somebody ends the gate: what was decided stays, and nothing else counts as compared."""
        self.is_interrupted = True
        self.notes.append(f"interrupted after {self.pairs} pairs; what was not decided by then is unclear")
        self._close_undecided()

    def on_base(self) -> list[str]:
        """What base's own suite holds, by head's names."""
        return [self.settings.renames.get(node, node) for node in self.suites.nodes("base")]

    def judged(self) -> set[str]:
        """The tests that have a verdict, will get one from their pairs, or were skipped with a reason."""
        followed = {found.node for found in self.workloads.values()}
        return followed | self.dropped | set(self.verdicts) | set(self.skipped)

    def _note(self, said: str) -> None:
        if said:
            self.on_progress(said)
            self.notes.append(said)

    def _nodes_to_run(self) -> list[str]:
        base = set(self.on_base())
        giver = self.settings.harness
        if giver == "own":
            return [node for node in self.suites.nodes("head") if node in base]
        return list(self.suites.nodes(giver))

    # Counting: one process of each side, exact, and the rehearsal that finds what cannot be timed.
    def _count_benchmarks(self, nodes: list[str]) -> None:
        self.on_progress(f"counting {len(nodes)} benchmarks on both sides")
        counted: dict[str, findings.SideCounts] = {}
        reached: dict[str, str] = {}
        ends: dict[str, Mapping[str, NodeOutcome]] = {}
        left = nodes
        for _ in range(MAX_RECOUNTS):
            found = self._run_counting_pair(left)
            self._record_outcomes(found)
            counted |= found.counts
            reached |= found.nodes
            ends |= found.outcomes
            if found.missing_counters:
                self.notes.append(f"counters: {found.missing_counters}")
            done = {
                *found.nodes.values(),
                *self.judged(),
                *(n for n, on in found.outcomes.items() if len(on) > 1),
            }
            left = [node for node in left if node not in done]
            if not found.abort_reason or not found.outcomes or not left:
                break
        for node, on in ends.items():
            passed = all(end.outcome == "passed" for end in on.values())
            is_whole = len(on) > 1 or not found.abort_reason  # else the other side did not come to it
            if passed and is_whole and node not in reached.values() and node not in self.judged():
                self.skipped[node] = "it passed without measuring anything"
                left = [other for other in left if other != node]
        if found.abort_reason and left:
            for node in left:
                self._exclude(
                    node, Verdict(node, "time", Outcome.ERROR, f"not reached: {found.abort_reason[:2000]}")
                )
        self._judge_counters(
            {name: node for name, node in reached.items() if node not in self.verdicts}, counted
        )

    def _judge_counters(self, reached: dict[str, str], counted: dict[str, findings.SideCounts]) -> None:
        again = PairResult()
        unlike = [name for name in findings.find_counter_changes(counted) if name in reached]
        if unlike:
            again = self._run_counting_pair(sorted({reached[name] for name in unlike}))
        for name, node in reached.items():
            self.workloads[name] = WorkloadState(name, node)
            verdicts, steady, restless = findings.judge_counters(
                name, counted.get(name, {}), again.counts.get(name)
            )
            self.verdicts.setdefault(name, []).extend(verdicts)
            self.counters[name] = steady
            self.notes += [
                f"{name}: {counter} does not repeat itself, so it does not gate" for counter in restless
            ]

    def _run_counting_pair(self, nodes: Sequence[str]) -> PairResult:
        return self.runner.run(nodes, counting=True)

    def _record_outcomes(self, found: PairResult) -> None:
        """Errors, skips and one-sided tests leave the gate with a word of their own."""
        for node, ends in found.outcomes.items():
            if len(ends) < 2 and not any(end.is_bad for end in ends.values()):
                continue  # the pair ended before the other side came to it
            meant = findings.judge_outcomes(node, ends, self._base_has(node))
            if meant.skipped is not None:
                self.skipped[node] = meant.skipped
            elif meant.verdict is not None:
                self._exclude(node, meant.verdict)
        for name, (node, side) in found.one_sided.items():
            if node in self.verdicts or node in self.skipped:
                continue
            other = "base" if side == "head" else "head"
            errors = found.collect_errors.get(other, ())
            self._exclude(name, findings.judge_one_sided(name, node, side, self._base_has(node), errors))
            self.dropped.add(node)

    def _base_has(self, node: str) -> bool:
        """Whether base's own suite has this test, or a file of it that base itself cannot collect."""
        base, head = (self.suites.by_side[side] for side in ("base", "head"))
        if node in self.on_base():
            return True
        if not any(error.startswith(("base: ", node.partition("::")[0])) for error in base.errors):
            return False
        file, _ = head.locations.get(node, ("", 0))
        return self.runner.repository.has_file(self.runner.worktrees["base"].commit, file)

    def _exclude(self, node: str, verdict: Verdict) -> None:
        for name in [name for name, found in self.workloads.items() if found.node == node]:
            del self.workloads[name]
            self.verdicts.pop(name, None)
        self.verdicts[node] = [verdict]

    # Timing: pairs until all is decided or the time is spent.
    def _run_timed_pairs(self) -> None:
        while (
            self._undecided() and self.pairs < self.settings.max_pairs and self._has_time_for_another_pair()
        ):
            self._run_timed_pair()
            if self.settings.null_workloads and len(self.longest_null_series) < sequential_rule.NULL_PAIRS:
                self._run_null_pair()
        while (
            self.workloads
            and 0 < len(self.longest_null_series) < sequential_rule.NULL_PAIRS
            and self._has_time_for_another_pair()
        ):
            self._run_null_pair()
        if self._undecided() and self.pairs < self.settings.max_pairs:
            self._note(
                f"the time of {self.settings.time_budget_seconds:.0f} s ended after {self.pairs} of "
                f"{self.settings.max_pairs} pairs, {self.pair_seconds:.0f} s each; the fewest that can "
                f"accuse are {self.rule.min_pairs} (--time-budget)"
            )
        self._close_undecided()

    def _close_undecided(self) -> None:
        for found in self._undecided():
            found.decision = found.decide(self.rule, self.tolerance(found.name), spent=True)

    @property
    def longest_null_series(self) -> Sequence[float]:
        return max(self.null.values(), key=len, default=[])

    def _undecided(self) -> list[WorkloadState]:
        return [f for f in self.workloads.values() if f.decision is None or f.decision.outcome is None]

    def _has_time_for_another_pair(self) -> bool:
        return time.monotonic() + self.pair_seconds < self.deadline

    def tolerance(self, name: str) -> float:
        """How much slower this workload may be."""
        found = self.workloads.get(name)
        marked = self.suites.tolerance(found.node) if found else None
        return self.settings.tolerance_for(name, marked)

    def _run_timed_pair(self) -> None:
        open_ = self._undecided()
        begin = time.monotonic()
        names = {found.name for found in open_}
        result = self.runner.run(
            list(dict.fromkeys(found.node for found in open_)),
            skip=frozenset(self.workloads) - names,
            enough=lambda: time.monotonic() > self.deadline,
        )
        self.pair_seconds = time.monotonic() - begin
        self.pairs += 1
        self._record_outcomes(result)
        for seen in result.workload_turns:
            if seen.name in self.workloads:
                self.workloads[seen.name].add_pair(seen, result.first_side)
        if not result.workload_turns and not result.is_out_of_time:
            # Nothing was seen at all: the same again would not help.
            reason = result.abort_reason or "no benchmark was reached"
            self.notes.append(f"pair {self.pairs}: {reason}")
            for found in open_:
                if found.name in self.workloads:
                    self._exclude(found.node, Verdict(found.node, "time", Outcome.ERROR, reason[:300]))
        for found in self._undecided():
            found.decision = found.decide(self.rule, self.tolerance(found.name))
        self.on_progress(
            f"pair {self.pairs} of at most {self.settings.max_pairs}: {len(self._undecided())} of "
            f"{len(self.workloads)} workloads open, {time.monotonic() - self.started_at:.0f} s"
        )

    def _run_null_pair(self) -> None:
        if not self.null_workloads:
            self.null_workloads = self._choose_null_workloads()
        chosen = [self.workloads[name] for name in self.null_workloads if name in self.workloads]
        result = self.runner.run(
            list(dict.fromkeys(found.node for found in chosen)),
            null=True,
            skip=frozenset(self.workloads) - set(self.null_workloads),
            enough=lambda: time.monotonic() > self.deadline,
        )
        for seen in result.workload_turns:
            found = WorkloadState(seen.name, seen.node)
            found.add_pair(seen, result.first_side)
            self.null.setdefault(seen.name, []).append(found.log_ratios[0])
        self.on_progress(
            f"base against base, {len(self.longest_null_series)} of {sequential_rule.NULL_PAIRS}, "
            f"{time.monotonic() - self.started_at:.0f} s"
        )

    def _choose_null_workloads(self) -> tuple[str, ...]:
        """Of the half that says what it has to say in the shortest time."""
        quick = sorted(self.workloads.values(), key=lambda found: found.gate_seconds)
        number = min(self.settings.null_workloads, len(quick))
        able = quick[: max(number, len(quick) // 2)]
        return tuple(found.name for found in self.runner.rng.sample(able, number))
