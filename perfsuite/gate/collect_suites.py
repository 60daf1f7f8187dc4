"""Collect both sides once, before the first pair."""

from __future__ import annotations

from contextlib import ExitStack, suppress

from perfsuite.gate.collection import (
    CollectedSuites,
    SideCollection,
    receive_collection,
    refuse_foreign_code,
)
from perfsuite.gate.harness import copy_harness, find_harness
from perfsuite.gate.pair_result import CollectError
from perfsuite.gate.pair_runner import PairRunner
from perfsuite.gate.side_process import SIDES, SideProcess, SideProcessError, other_side


def collect_suites(runner: PairRunner) -> CollectedSuites:
    """Collect each side by itself, then copy the harness where both sides are to run the same."""
    with ExitStack() as stack:
        processes = {
            side: stack.enter_context(runner.start_side(side, runner.worktrees[side])) for side in SIDES
        }
        timeout = runner.settings.schedule.hang_timeout_seconds
        by_side = {side: _collect_side(process, timeout) for side, process in processes.items()}
    runner.fork_servers.set_shared_imports(
        base=by_side["base"].shared_imports, head=by_side["head"].shared_imports
    )
    refuse_foreign_code(by_side, runner.worktrees)
    suites = CollectedSuites(by_side, runner.settings.rules)
    suites.refuse_invalid_tolerances()
    if runner.settings.harness in SIDES:
        _share_harness(runner, suites, runner.settings.harness)
    return suites


def _collect_side(process: SideProcess, timeout_seconds: float) -> SideCollection:
    try:
        collection = receive_collection(process, timeout_seconds)
    except SideProcessError as error:
        # A side that cannot even collect (a path that it lacks) holds no benchmarks; the other may.
        return SideCollection(errors=(CollectError("", str(error)),))
    with suppress(SideProcessError):  # it ends without running anything
        process.send(command="run", nodes=[], is_counting=False)
        process.receive(timeout_seconds)
    return collection


def _share_harness(runner: PairRunner, suites: CollectedSuites, source_side: str) -> None:
    source, target = (runner.worktrees[side].path for side in (source_side, other_side(source_side)))
    names = find_harness(
        source,
        suites.benchmark_files(source_side),
        suites.by_side[source_side].pytest_config,
        runner.repository.project_subfolder,
    )
    copy_harness(source, target, names)
