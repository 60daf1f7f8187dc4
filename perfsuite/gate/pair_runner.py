"""Prepare both sides, and run pairs of processes on them."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from perfsuite.gate.agent.variables import RECORDING_VARIABLE
from perfsuite.gate.collection import SideCollection, refuse_foreign_code
from perfsuite.gate.environments import have_same_packages
from perfsuite.gate.fork_client import ForkServerClient, ForkServerError, ForkServerRotation, can_fork
from perfsuite.gate.fresh_copy import fresh_copy
from perfsuite.gate.git import Repository
from perfsuite.gate.launch import (
    Launcher,
    fork_server_command,
    pytest_command,
    randomized_environment,
)
from perfsuite.gate.pair_result import NodeId, PairResult, Purpose, WorkloadName
from perfsuite.gate.process_pair import ProcessPair
from perfsuite.gate.project_layout import find_sources
from perfsuite.gate.run_pair import run_pair
from perfsuite.gate.schedule import TurnSchedule
from perfsuite.gate.settings import GateSettings
from perfsuite.gate.side_process import SIDES, SideProcess, SideProcessError
from perfsuite.gate.workspace import refuse_removed
from perfsuite.gate.worktree import Worktree, changed_packages
from perfsuite.measure.gpu import load_nvml

RECORDING_SLOWDOWN = 2.0  # a recorded compilation may stay silent this many times longer
MAX_CORES = 64  # the range that a pair's first core is drawn from


def draw_order(rng: random.Random) -> tuple[str, ...]:
    """The sides of one pair, in an order that a coin decides; the statistical rules rest on this coin."""
    return SIDES if rng.random() < 0.5 else SIDES[::-1]


def alternating_order(pairs_before: int) -> tuple[str, ...]:
    """The sides of one null pair.

    >>> alternating_order(0), alternating_order(1)
    (('base', 'head'), ('head', 'base'))
    """
    return SIDES if pairs_before % 2 == 0 else SIDES[::-1]


@dataclass(slots=True)
class PairRunner:
    """Two prepared worktrees, and what is needed to start processes in them."""

    repository: Repository
    settings: GateSettings
    workspace: Path
    worktrees: Mapping[str, Worktree]  # by side
    agent_path: Path
    rng: random.Random
    has_fresh_copies: bool = False  # each timed process runs in a copy of its side's worktree
    processes_started: int = 0
    randomized_environment: Mapping[str, str] = field(
        default_factory=dict
    )  # the same for both sides of a pair
    null_pair_count: int = 0
    is_out_of_time: Callable[[], bool] = lambda: False
    recording_requests: Mapping[str, Path] = field(default_factory=dict)  # by side, while a pair is recorded
    gpu: Any = field(default_factory=load_nvml)
    launcher: Launcher = field(init=False)
    fork_servers: ForkServerRotation = field(init=False)

    def __post_init__(self) -> None:
        self.launcher = Launcher(
            self.repository,
            self.agent_path,
            self.workspace,
            changed_packages(self.repository, self.worktrees),
        )
        self.fork_servers = ForkServerRotation(
            self._start_fork_server, is_allowed=can_fork() and have_same_packages(**self.worktrees)
        )

    def _start_fork_server(self, modules: Sequence[str]) -> ForkServerClient:
        tree = self.worktrees["head"]
        environment = self.launcher.fork_server_environment(tree, self.randomized_environment)
        sources = [find_sources(each.project_root) for each in self.worktrees.values()]
        packages = {package for each in sources for package in self.launcher.project_packages(each)}
        return ForkServerClient(
            fork_server_command(tree), environment, self.workspace, modules, sorted(packages)
        )

    def start_side(self, side: str, tree: Worktree) -> SideProcess:
        """A process of `tree` in the role of `side`."""
        self.processes_started += 1
        scratch = self.workspace / f"{self.processes_started:04}"
        environment = self.launcher.side_environment(tree, side, scratch, self.randomized_environment)
        if side in self.recording_requests:
            environment[RECORDING_VARIABLE] = str(self.recording_requests[side])
        log = scratch.with_suffix(f".{side}.log")
        command = pytest_command(tree, self.settings.pytest_args)
        try:
            return SideProcess(side, command, environment, tree.project_root, log, self.fork_servers.current)
        except ForkServerError:  # killed, for its memory perhaps
            self.fork_servers.disable()
            return SideProcess(side, command, environment, tree.project_root, log)

    @contextmanager
    def start_pair(
        self, null: bool = False, purpose: Purpose = Purpose.TIMING
    ) -> Iterator[tuple[ProcessPair, dict[str, SideCollection]]]:
        """Both sides, started at once and collected; a coin decides which has the first turn.

        Null pairs alternate instead: six random draws may be equal, and an effect of the first position would
        then pass for a difference between the sides.
        """
        order = alternating_order(self.null_pair_count) if null else draw_order(self.rng)
        self.null_pair_count += null
        self.randomized_environment = randomized_environment(self.rng)
        self.fork_servers.rotate()
        with ExitStack() as stack:
            stack.callback(self._remove_scratch, self.processes_started)
            trees = [self.worktrees["base" if null else side] for side in order]
            if self.has_fresh_copies and purpose is Purpose.TIMING:
                trees = [stack.enter_context(fresh_copy(tree, self.rng)) for tree in trees]
            first, second = (
                stack.enter_context(self.start_side(side, tree))
                for side, tree in zip(order, trees, strict=True)
            )
            has_own_names = self.settings.harness == "own" and not null
            pair = ProcessPair(
                first,
                second,
                self._schedule(null),
                renames=self.settings.renames if has_own_names else {},
                gpu=self.gpu,
                first_core=self.rng.randrange(MAX_CORES),
                is_out_of_time=self.is_out_of_time,
            )
            collections = pair.collect()
            refuse_foreign_code(collections, self.worktrees)
            yield pair, collections
            if len(pair.shared_imports) == len(SIDES) and not null:
                self.fork_servers.set_shared_imports(
                    base=pair.shared_imports["base"], head=pair.shared_imports["head"]
                )

    def _schedule(self, null: bool) -> TurnSchedule:
        schedule = self.settings.schedule.for_null_pairs() if null else self.settings.schedule
        if self.recording_requests:
            timeout = RECORDING_SLOWDOWN * schedule.hang_timeout_seconds
            return replace(schedule, hang_timeout_seconds=timeout)
        return schedule

    def _remove_scratch(self, processes_before: int) -> None:
        """Remove what the tests of one pair wrote, without waiting for the end of the gate."""
        for number in range(processes_before + 1, self.processes_started + 1):
            shutil.rmtree(self.workspace / f"{number:04}", ignore_errors=True)

    def run(
        self,
        nodes: Sequence[NodeId],
        purpose: Purpose = Purpose.TIMING,
        null: bool = False,
        skip: frozenset[WorkloadName] = frozenset(),
    ) -> PairResult:
        """Run one pair through `nodes`."""
        refuse_removed(*(tree.path for tree in self.worktrees.values()))
        try:
            with self.start_pair(null, purpose) as (pair, collections):
                result = run_pair(pair, nodes, purpose, skip)
                result.collect_errors = {side: collection.errors for side, collection in collections.items()}
                return result
        except SideProcessError as error:
            return PairResult(abort_reason=str(error))
        finally:
            refuse_removed(*(tree.path for tree in self.worktrees.values()))
