"""What one gate works with (the context, fixed) and what it has found so far (the state)."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from perfsuite.gate import node_verdicts
from perfsuite.gate.collection import CollectedSuites
from perfsuite.gate.pair_result import NodeId, NodeOutcome, PairResult, WorkloadName
from perfsuite.gate.pair_runner import PairRunner
from perfsuite.gate.prepare_sides import OnProgress, ignore_progress
from perfsuite.gate.settings import GateSettings
from perfsuite.gate.side_process import other_side
from perfsuite.gate.timing_plan import PairCosts
from perfsuite.gate.workload_state import WorkloadState
from perfsuite.judge.sequential_rule import SequentialRule
from perfsuite.judge.verdict import Outcome, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class GateContext:
    """What stays the same from the first pair to the report."""

    runner: PairRunner
    suites: CollectedSuites
    started_at: float  # by the clock
    clock: Callable[[], float] = time.monotonic
    on_progress: OnProgress = ignore_progress

    @property
    def settings(self) -> GateSettings:
        return self.runner.settings

    @property
    def elapsed_seconds(self) -> float:
        return self.clock() - self.started_at

    @property
    def seconds_left(self) -> float:
        """Of the time budget, which preparing, collecting and counting use as well."""
        return self.settings.time_budget_seconds - self.elapsed_seconds

    def is_out_of_time(self) -> bool:
        return self.seconds_left < 0

    def base_nodes(self) -> list[NodeId]:
        """The tests of base's own suite, by head's names."""
        renames = self.settings.renames
        return [NodeId(renames.get(node, node)) for node in self.suites.nodes("base")]

    def is_on_base(self, node: NodeId) -> bool:
        """Whether base's own suite has this test, or its file where base cannot collect that file."""
        base, head = (self.suites.by_side[side] for side in ("base", "head"))
        if node in self.base_nodes():
            return True
        if not any(error.file in {"", node.partition("::")[0]} for error in base.errors):
            return False
        file, _ = head.locations.get(node, ("", 0))
        return self.runner.repository.has_file(self.runner.worktrees["base"].commit, file)

    def tolerance(self, name: WorkloadName, node: NodeId) -> float:
        """How much slower a workload may be."""
        return self.settings.tolerance_for(name, self.suites.marked_tolerance(node))


@dataclass(slots=True)
class GateState:
    """What a gate has found so far.

    A test is in `node_verdicts`, in `skipped`, or each of its workloads is in `workloads`, in `same_code`, or
    excluded: then it has its only verdict in `verdicts`, and its test is in `excluded_nodes`.
    """

    workloads: dict[WorkloadName, WorkloadState] = field(default_factory=dict)  # those that are timed
    # Verdicts on workloads that are not about time: on counters, or why one was excluded.
    verdicts: dict[WorkloadName, list[Verdict]] = field(default_factory=dict)
    node_verdicts: dict[NodeId, list[Verdict]] = field(default_factory=dict)  # on tests that are not timed
    same_code: dict[WorkloadName, WorkloadState] = field(default_factory=dict)  # proven; not timed
    timing_reasons: dict[NodeId, str] = field(default_factory=dict)  # why the same code is not proven
    skipped: dict[NodeId, str] = field(default_factory=dict)  # with the reason
    excluded_nodes: set[NodeId] = field(default_factory=set)  # tests with an excluded workload
    notes: list[str] = field(default_factory=list)
    null_log_ratios: dict[WorkloadName, list[float]] = field(default_factory=dict)
    null_workloads: tuple[WorkloadName, ...] = ()  # chosen for the null pairs
    counter_alpha: float = 0.0  # the part of alpha that confirming differences of counters has used
    rule: SequentialRule = field(default_factory=lambda: SequentialRule(1))
    costs: PairCosts = field(default_factory=PairCosts)
    timed_pairs: int = 0
    null_pairs_run: int = 0
    is_interrupted: bool = False

    def undecided(self) -> list[WorkloadState]:
        return [workload for workload in self.workloads.values() if workload.is_undecided]

    def timeable(self) -> list[WorkloadState]:
        """The undecided workloads that may have another pair."""
        return [each for each in self.undecided() if each.attempted_pairs < self.rule.max_pairs]

    def judged_nodes(self) -> set[NodeId]:
        """Tests that have a verdict, will get one from their pairs, or were skipped with a reason."""
        timed = {workload.node for workload in (*self.workloads.values(), *self.same_code.values())}
        return timed | self.excluded_nodes | set(self.node_verdicts) | set(self.skipped)

    def move_to_same_code(self, nodes: Collection[NodeId]) -> None:
        """Take the workloads of these tests out of timing: they are kept, because the same code ran."""
        for name in [name for name, workload in self.workloads.items() if workload.node in nodes]:
            self.same_code[name] = self.workloads.pop(name)

    def exclude_node(self, node: NodeId, verdict: Verdict) -> None:
        """Take a test, with all its workloads, out of the gate with a verdict."""
        for name in [name for name, workload in self.workloads.items() if workload.node == node]:
            del self.workloads[name]
            self.verdicts.pop(name, None)
        self.node_verdicts[node] = [verdict]

    def exclude_workload(self, name: WorkloadName, node: NodeId, verdict: Verdict) -> None:
        """Take one workload out of the gate with a verdict; others of the same test stay."""
        self.workloads.pop(name, None)
        self.verdicts[name] = [verdict]
        self.excluded_nodes.add(node)

    def record_outcomes(self, result: PairResult, is_on_base: Callable[[NodeId], bool]) -> None:
        """Exclude tests that failed, were skipped, or ran on one side only."""
        for node, outcomes in result.outcomes.items():
            self._record_node(node, outcomes, is_on_base)
        for name, (node, side) in result.one_sided.items():
            workload = self.workloads.get(name)
            is_decided = workload is not None and not workload.is_undecided
            if node in self.node_verdicts or node in self.skipped or is_decided:
                continue
            errors = result.collect_errors.get(other_side(side), ())
            verdict = node_verdicts.judge_one_sided(name, node, side, is_on_base(node), errors)
            self.exclude_workload(name, node, verdict)

    def _record_node(
        self, node: NodeId, outcomes: Mapping[str, NodeOutcome], is_on_base: Callable[[NodeId], bool]
    ) -> None:
        if len(outcomes) < 2 and not any(outcome.is_bad for outcome in outcomes.values()):
            return  # the pair ended before the other side reached it
        finding = node_verdicts.judge_outcomes(node, outcomes, is_on_base(node))
        if finding.skipped is not None:
            self.skipped[node] = finding.skipped
        elif finding.verdict is not None:
            self.exclude_node(node, finding.verdict)

    def close_undecided(self) -> None:
        """Decide what is still open with the pairs at hand."""
        for workload in self.undecided():
            workload.decision = workload.decide(self.rule, is_final=True)

    def mark_interrupted(self) -> None:
        """End early: what was decided stays, and nothing else counts as compared."""
        self.is_interrupted = True
        self.notes.append(
            f"interrupted after {self.timed_pairs} pairs; what was not decided by then is unclear"
        )
        self.close_undecided()

    def mark_unreached(self, node: NodeId, reason: str) -> None:
        """Exclude a test that a pair was to run and never reached."""
        self.exclude_node(node, Verdict(node, "time", Outcome.ERROR, reason))
