"""Lead a pair of processes through benchmarks, and survive what happens to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from perfsuite.gate.pair_result import NodeId, NodeOutcome, PairResult, Purpose, WorkloadName
from perfsuite.gate.process_pair import BenchmarkEndedError, OutOfTimeError, ProcessPair
from perfsuite.gate.side_process import SideProcessError


def run_pair(
    pair: ProcessPair,
    nodes: Sequence[NodeId],
    purpose: Purpose = Purpose.TIMING,
    skip: frozenset[WorkloadName] = frozenset(),
) -> PairResult:
    """Lead both sides through `nodes`. A side that dies ends the pair, not the gate."""
    result = PairResult(outcomes=pair.outcomes, one_sided=pair.one_sided, first_side=pair.processes[0].side)
    served = ""
    try:
        pair.run(nodes, is_counting=purpose is Purpose.COUNTING)
        for name, node, items in pair.matched_benchmarks(skip):
            pair.refuse_without_time()
            served = node
            result.nodes[name] = node
            with suppress(BenchmarkEndedError):
                match purpose:
                    case Purpose.TIMING:
                        result.workload_turns.append(pair.take_turns(name, node, items))
                    case Purpose.COUNTING:
                        _record_counts(result, name, pair.count())
                    case Purpose.RECORDING:
                        pair.call()
            served = ""
    except OutOfTimeError:
        result.abort_reason, result.is_out_of_time = "the time for the gate is spent", True
    except SideProcessError as error:
        result.abort_reason = str(error)
        lost = served or error.node or _first_not_ended(pair, nodes, error.side)
        if lost:
            outcome = NodeOutcome(error.cause, str(error))
            result.outcomes.setdefault(NodeId(lost), {})[error.side] = outcome
    return result


def _record_counts(
    result: PairResult, name: WorkloadName, counts: Mapping[str, tuple[list[dict[str, int]], str]]
) -> None:
    for side, (repeated, missing) in counts.items():
        result.counts.setdefault(name, {})[side] = repeated
        result.missing_counters = result.missing_counters or missing


def _first_not_ended(pair: ProcessPair, nodes: Sequence[NodeId], side: str) -> str:
    """The first test that has not ended on a side, in which it must have died."""
    return next((node for node in nodes if side not in pair.outcomes.get(node, {})), "")
