"""The stage of a gate that proves, after counting, which workloads need not be timed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from perfsuite.gate.gate_state import GateContext, GateState
from perfsuite.gate.pair_result import NodeId, Purpose
from perfsuite.gate.same_code.prover import SameCodeProver

MAX_REASONS = 10  # shown as progress; the report has all


@contextmanager
def recorded_counting(context: GateContext) -> Iterator[SameCodeProver | None]:
    """Record the counting pair in this block; None where everything is to be timed."""
    settings, runner = context.settings, context.runner
    if settings.time_everything or settings.null:
        yield None
        return
    has_own_names = settings.harness == "own"
    prover = SameCodeProver(
        roots={side: tree.path for side, tree in runner.worktrees.items()},
        workspace=runner.workspace,
        base_names={NodeId(head): base for base, head in settings.renames.items()} if has_own_names else {},
    )
    runner.recording_requests = prover.requests
    with prover.recorded():
        yield prover


def keep_same_code(context: GateContext, state: GateState, prover: SameCodeProver) -> None:
    """Keep what is proven to run the same code, and note of every other workload why it is timed."""
    changed = {workload.node for name, workload in state.workloads.items() if state.verdicts.get(name)}
    prover.reasons |= dict.fromkeys(changed, "its counters differ")
    nodes = dict.fromkeys(workload.node for workload in state.workloads.values())
    candidates = [node for node in nodes if node not in changed]
    proven = prover.prove(
        candidates,
        file_of=lambda node: context.suites.location(node)[0],
        run_pair=lambda tests: context.runner.run(tests, Purpose.RECORDING),
        is_out_of_time=context.is_out_of_time,
    )
    total = len(state.workloads)
    state.move_to_same_code(set(proven))
    state.timing_reasons = {node: prover.reasons[node] for node in nodes if node in prover.reasons}
    context.on_progress(
        f"{len(state.same_code)} of {total} workloads ran the same code on both sides and are not timed"
    )
    for line in _summarize(state.timing_reasons)[:MAX_REASONS]:
        context.on_progress(line)


def _summarize(reasons: Mapping[NodeId, str]) -> list[str]:
    """A line for each reason, with its first test.

    >>> _summarize({NodeId("t.py::a"): "toy.py: decode differs", NodeId("t.py::b"): "toy.py: decode differs"})
    ['timed, because toy.py: decode differs: t.py::a and 1 more']
    """
    tests: dict[str, list[NodeId]] = defaultdict(list)
    for test, reason in reasons.items():
        tests[reason].append(test)
    return [
        f"timed, because {reason}: {each[0]}" + (f" and {len(each) - 1} more" if len(each) > 1 else "")
        for reason, each in tests.items()
    ]
