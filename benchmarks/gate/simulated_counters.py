"""Simulate gates whose counters differ from process to process, and write docs/results/counters.md.

    python -m benchmarks.gate.simulated_counters --gates 2000

Both sides run the same code, so every accusation is a false alarm. The counting stage of the gate decides,
with invented processes instead of real ones. One more workload truly changes by one, and must be found.
"""

from __future__ import annotations

import argparse
import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

from scipy.stats import binomtest

from perfsuite.gate.collection import CollectedSuites, SideCollection
from perfsuite.gate.counting import count_benchmarks
from perfsuite.gate.fork_client import PAIRS_PER_FORK_SERVER
from perfsuite.gate.gate_state import GateContext, GateState
from perfsuite.gate.pair_result import NodeId, NodeOutcome, PairResult, Purpose, WorkloadName
from perfsuite.gate.pair_runner import PairRunner, draw_order
from perfsuite.gate.settings import GateSettings
from perfsuite.gate.side_process import SIDES
from perfsuite.judge.counter_confirmation import Confirmation
from perfsuite.judge.verdict import Outcome
from perfsuite.report.markdown_table import markdown_table

ROOT = Path(__file__).resolve().parents[2]

WORKLOADS = 16
ALPHA = 0.01
COUNTER = "dispatched_ops"
CHANGED = "test_changed"
PAGE = ROOT / "docs" / "results" / "counters.md"


@dataclass(frozen=True, slots=True)
class SimulatedProcess:
    """What the counters of one process may depend on."""

    number: int  # of the process in its gate, from 0; processes start one after the other
    pid: int
    place: int  # 0 for the first process of its pair
    hash_seed: int  # the same for both processes of a pair
    draw: int  # 0 or 1, drawn once
    rng: random.Random


Variation = Callable[[SimulatedProcess, int], int]  # process, workload -> what is added to its counter


def _hash_dependent(process: SimulatedProcess, workload: int) -> int:
    return hashlib.sha256(f"{process.hash_seed} {workload}".encode()).digest()[0] % 2


VARIATIONS: dict[str, Variation] = {
    "0 or 1, drawn at import": lambda process, workload: process.rng.randrange(2),
    "one of 1,000 values": lambda process, workload: process.rng.randrange(1000),
    "1 in one process of 20": lambda process, workload: int(process.rng.random() < 0.05),
    "parity of the process id": lambda process, workload: (process.pid + workload) % 2,
    "grows with time": lambda process, workload: (process.number + workload) // 3,
    "depends on the hash seed": _hash_dependent,
    "one draw for all workloads": lambda process, workload: process.draw,
    "special in a pair's first process": lambda process, workload: int(process.place == 0),
}


@dataclass(slots=True)
class SimulatedRunner:
    """Stands in for the gate's PairRunner: its processes count what a variation says."""

    variation: Variation
    settings: GateSettings
    rng: random.Random
    processes: int = 0
    pairs: int = 0
    hash_seed: int = 0
    first_pid: int = field(init=False)

    def __post_init__(self) -> None:
        self.first_pid = self.rng.randrange(1 << 20)

    def run(self, nodes: Sequence[NodeId], purpose: Purpose) -> PairResult:
        if self.pairs % PAIRS_PER_FORK_SERVER == 0:
            self.hash_seed = self.rng.randrange(2**32)
        self.pairs += 1
        order = draw_order(self.rng)
        result = PairResult(first_side=order[0])
        for place, side in enumerate(order):
            process = self._start(place)
            for node in nodes:
                name = WorkloadName(node)
                counts = {COUNTER: self._count(process, node, side)}
                result.counts.setdefault(name, {})[side] = [counts, counts]
                result.nodes[name] = node
                result.outcomes.setdefault(node, {})[side] = NodeOutcome("passed")
        return result

    def _start(self, place: int) -> SimulatedProcess:
        number, self.processes = self.processes, self.processes + 1
        rng = random.Random(self.rng.getrandbits(64))
        return SimulatedProcess(
            number=number,
            pid=self.first_pid + number,
            place=place,
            hash_seed=self.hash_seed,
            draw=rng.randrange(2),
            rng=rng,
        )

    def _count(self, process: SimulatedProcess, node: NodeId, side: str) -> int:
        if node == CHANGED:
            return 20 + (side == "head")
        return 20 + self.variation(process, int(node.rpartition("_")[2]))


def run_gate(variation: Variation, seed: int, with_change: bool) -> tuple[GateState, int]:
    """The counting stage of one gate; its state and its number of pairs."""
    nodes = [NodeId(f"test_{number}") for number in range(WORKLOADS)]
    nodes += [NodeId(CHANGED)] * with_change
    collection = SideCollection(locations=dict.fromkeys(nodes, ("test_simulated.py", 1)))
    settings = GateSettings(base="main", alpha=ALPHA, time_budget_seconds=1e9)
    runner = SimulatedRunner(variation, settings, random.Random(seed))
    context = GateContext(
        runner=cast(PairRunner, runner),
        suites=CollectedSuites(dict.fromkeys(SIDES, collection)),
        started_at=0.0,
    )
    state = GateState()
    count_benchmarks(context, state, nodes)
    return state, runner.pairs


@dataclass(frozen=True, slots=True)
class Tally:
    """The gates of one variation."""

    gates: int
    alarms: int  # gates that accused equal code
    found: int  # gates that found the true change, where there was one
    mean_pairs: float

    @property
    def upper_bound(self) -> float:
        """Of the chance of an alarm, with 95 % confidence (Clopper-Pearson)."""
        return float(binomtest(self.alarms, self.gates).proportion_ci(0.95, method="exact").high)


def simulate(variation: Variation, gates: int, with_change: bool) -> Tally:
    alarms = found = pairs = 0
    for seed in range(gates):
        state, pairs_of_gate = run_gate(variation, seed, with_change)
        accused = {
            name
            for name, verdicts in state.verdicts.items()
            if any(verdict.outcome in (Outcome.REGRESSED, Outcome.IMPROVED) for verdict in verdicts)
        }
        found += CHANGED in accused
        alarms += bool(accused - {CHANGED})
        pairs += pairs_of_gate
    return Tally(gates, alarms, found, pairs / gates)


def accuse_without_confirming(context: Any, state: Any, differences: Any, nodes: Any) -> Confirmation:
    """The negative control: every difference of the first pair counts as confirmed."""
    return Confirmation(confirmed=frozenset(differences))


COLUMNS = (
    "the counter of equal code",
    "false alarms",
    "at most (95 %)",
    "false alarms beside a true change",
    "true change found",
    "pairs, mean",
    "without confirmation",
)


def table_rows(gates: int) -> Iterator[tuple[str, ...]]:
    for name, variation in VARIATIONS.items():
        alone = simulate(variation, gates, with_change=False)
        changed = simulate(variation, gates, with_change=True)
        with patch("perfsuite.gate.counting.confirm_counters", accuse_without_confirming):
            control = simulate(variation, max(1, gates // 10), with_change=False)
        row = (
            name,
            f"{alone.alarms} of {gates:,}",
            f"{max(alone.upper_bound, changed.upper_bound):.2%}",
            f"{changed.alarms} of {gates:,}",
            f"{changed.found} of {gates:,}",
            f"{changed.mean_pairs:.1f}",
            f"{control.alarms} of {control.gates:,}",
        )
        print(*row, sep="; ", flush=True)
        yield row


PAGE_TEXT = """# Counters that differ from process to process

Simulated gates of {workloads} workloads in which both sides run the same code, and the counter of every
workload differs between processes. The counting stage of the gate decides; the processes are invented. The
gate may raise a false alarm in {alpha:.0%} of all cases, of which counters use {share:.2%}. In the second
half of the table one further workload changes by one, from 20 to 21. The last column is the negative control:
the same gates without confirmation.

    python -m benchmarks.gate.simulated_counters --gates {gates}

{table}

Why this holds for any variation, and what it does not cover: [gate](../gate.md#counters),
[decision 0012](../decisions/0012-counters-are-confirmed-by-coins.md).
"""


def main() -> None:
    from perfsuite.judge.counter_confirmation import ALPHA_SHARE

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gates", type=int, default=2000)
    parser.add_argument("--output", type=Path, default=PAGE)
    arguments = parser.parse_args()
    text = PAGE_TEXT.format(
        workloads=WORKLOADS,
        alpha=ALPHA,
        share=ALPHA_SHARE * ALPHA,
        gates=arguments.gates,
        table=markdown_table(COLUMNS, table_rows(arguments.gates), numeric=range(1, 7)),
    )
    arguments.output.write_text(text)


if __name__ == "__main__":
    main()
