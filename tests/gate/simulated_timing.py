"""A gate whose pairs are invented and whose clock is a counter."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from perfsuite.gate.gate_state import GateContext, GateState
from perfsuite.gate.pair_result import NodeId, PairResult, Turn, WorkloadName, WorkloadTurns
from perfsuite.gate.settings import GateSettings
from perfsuite.gate.timing_plan import PairCosts
from perfsuite.gate.workload_state import WorkloadState
from perfsuite.judge.sequential_rule import SequentialRule


@dataclass(slots=True)
class SimulatedRunner:
    """Each pair starts for `start_seconds` and then times each of its workloads for its own seconds."""

    settings: GateSettings
    seconds: Mapping[str, float]  # by workload
    slower: Mapping[str, float] = field(default_factory=dict)  # head over base, less one
    start_seconds: float = 1.0
    scatter: float = 0.005
    now: float = 0.0
    rng: random.Random = field(default_factory=lambda: random.Random(18))
    pairs: list[tuple[str, ...]] = field(default_factory=list)  # the workloads of each timed pair
    null_pairs: int = 0
    fails_null_pairs: bool = False

    def run(
        self, nodes: Sequence[NodeId], null: bool = False, skip: frozenset[str] = frozenset()
    ) -> PairResult:
        self.now += self.start_seconds
        turns = [self._turns(node, null) for node in nodes if node not in skip]
        if null:
            self.null_pairs += 1
            turns = [] if self.fails_null_pairs else turns
        else:
            self.pairs.append(tuple(each.name for each in turns))
        return PairResult(workload_turns=turns, first_side="base")

    def _turns(self, node: NodeId, null: bool) -> WorkloadTurns:
        seconds = self.seconds[node] / (4 if null else 1)
        self.now += seconds
        ratio = (1 + (0 if null else self.slower.get(node, 0))) * (1 + self.rng.gauss(0, self.scatter))
        return WorkloadTurns(
            name=WorkloadName(node),
            node=node,
            first_turns=(Turn(0.01, 0.01),) * 8,
            second_turns=(Turn(0.01 * ratio, 0.01 * ratio),) * 8,
            gate_seconds=seconds,
        )


def simulated_gate(
    seconds: Mapping[str, float],
    budget: float,
    slower: Mapping[str, float] | None = None,
    *,
    elapsed: float = 0.0,
    start_seconds: float = 1.0,
    scatter: float = 0.005,
    null_workloads: int = 3,
    fails_null_pairs: bool = False,
    on_progress: Callable[[str], None] = lambda line: None,
) -> tuple[GateContext, GateState, SimulatedRunner]:
    """A gate that has counted for `elapsed` seconds and is about to time these workloads."""
    settings = GateSettings(base="main", time_budget_seconds=budget, null_workloads=null_workloads)
    runner = SimulatedRunner(
        settings,
        seconds,
        slower or {},
        start_seconds=start_seconds,
        scatter=scatter,
        now=elapsed,
        fails_null_pairs=fails_null_pairs,
    )
    context = GateContext(
        runner=cast(Any, runner),
        suites=cast(Any, None),
        started_at=0.0,
        clock=lambda: runner.now,
        on_progress=on_progress,
    )
    state = GateState(
        workloads={
            WorkloadName(name): WorkloadState(WorkloadName(name), NodeId(name), 0.01) for name in seconds
        },
        rule=SequentialRule(len(seconds)),
        costs=PairCosts(start_seconds=start_seconds, default_seconds=1.0),
    )
    return context, state, runner
