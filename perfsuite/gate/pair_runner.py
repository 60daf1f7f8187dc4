"""Both sides made ready, and pairs of processes run on them."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perfsuite.errors import UsageError
from perfsuite.gate import submodules, worktree
from perfsuite.gate.fork_client import ForkServerClient, ForkServerError, ForkServerRotation, can_fork
from perfsuite.gate.project_layout import copy_harness, find_harness, find_sources
from perfsuite.gate.settings import RANGES, GateSettings
from perfsuite.gate.side_process import SideProcess, SideProcessError
from perfsuite.gate.turns import PairResult, ProcessPair, SideCollection, run_pair
from perfsuite.gate.worktree import Repository, Worktree
from perfsuite.measure.gpu import load_nvml

SIDES = ("base", "head")


@dataclass(slots=True)
class PairRunner:
    """Two prepared trees and what is needed to start processes in them."""

    repository: Repository
    settings: GateSettings
    workspace: Path
    worktrees: Mapping[str, Worktree]
    agent_path: Path
    rng: random.Random
    processes_started: int = 0
    randomized_environment: Mapping[str, str] = field(
        default_factory=dict
    )  # what a pair draws for both its sides
    null_pair_count: int = 0
    gpu: Any = field(default_factory=load_nvml)
    fork_servers: ForkServerRotation = field(init=False)

    def __post_init__(self) -> None:
        alike = len({tree.python for tree in self.worktrees.values()}) == 1
        as_it_is = not any(tree.is_prepared for tree in self.worktrees.values())
        self.fork_servers = ForkServerRotation(
            self._start_fork_server, is_allowed=alike and as_it_is and can_fork()
        )

    def _start_fork_server(self, modules: Sequence[str]) -> ForkServerClient:
        around = worktree.fork_server_environment(
            self.agent_path, self.workspace.name, self.randomized_environment
        )
        return ForkServerClient(
            worktree.fork_server_command(self.worktrees["head"]), around, self.workspace, modules
        )

    def start_side(self, side: str, tree: Worktree) -> SideProcess:
        """A process of `tree` in the role of `side`."""
        self.processes_started += 1
        scratch = self.workspace / f"{self.processes_started:04}"
        around = worktree.side_environment(
            self.repository, tree, side, self.agent_path, scratch, self.randomized_environment
        )
        log = scratch.with_suffix(f".{side}.log")
        command = worktree.pytest_command(tree, self.settings.pytest_args)
        try:
            return SideProcess(side, command, around, tree.root, log, self.fork_servers.current)
        except ForkServerError:  # killed, for its memory perhaps
            self.fork_servers.disable()
            return SideProcess(side, command, around, tree.root, log)

    @contextmanager
    def start_pair(self, null: bool = False) -> Iterator[tuple[ProcessPair, dict[str, SideCollection]]]:
        """Both sides started at once and collected; which has the first turn is a coin toss.

        Null pairs take it in turns: six coins may agree, and what the first slot does is no fault of an arm.
        """
        order = list(SIDES)
        if self.null_pair_count % 2 if null else self.rng.random() < 0.5:
            order.reverse()
        self.null_pair_count += null
        self.randomized_environment = worktree.randomized_environment(self.rng)
        self.fork_servers.rotate()
        with ExitStack() as stack:
            stack.callback(self._clear_scratch, self.processes_started)
            taking_part = [
                stack.enter_context(self.start_side(side, self.worktrees["base" if null else side]))
                for side in order
            ]
            renames = self.settings.renames if self.settings.harness == "own" and not null else {}
            core = self.rng.randrange(64)
            pace = self.settings.schedule.for_null_pairs() if null else self.settings.schedule
            pair = ProcessPair(taking_part[0], taking_part[1], pace, renames, self.gpu, core)
            yield pair, pair.collect()
            if len(pair.shared_imports) == len(SIDES) and not null:
                self.fork_servers.set_shared_imports(**pair.shared_imports)

    def _clear_scratch(self, before: int) -> None:
        """What the tests of one pair wrote need not wait for the end of the gate."""
        for number in range(before + 1, self.processes_started + 1):
            shutil.rmtree(self.workspace / f"{number:04}", ignore_errors=True)

    def run(
        self,
        nodes: Sequence[str],
        counting: bool = False,
        null: bool = False,
        skip: frozenset[str] = frozenset(),
        enough: Callable[[], bool] = lambda: False,
    ) -> PairResult:
        """One pair through `nodes`."""
        try:
            with self.start_pair(null) as (pair, collected):
                result = run_pair(pair, nodes, counting, skip, enough)
                result.collect_errors = {side: found.errors for side, found in collected.items()}
                return result
        except SideProcessError as error:
            return PairResult(abort_reason=str(error))


@contextmanager
def prepare_sides(
    repository: Repository,
    settings: GateSettings,
    place: Path,
    chance: random.Random,
    tell: Callable[[str], None],
) -> Iterator[PairRunner]:
    """Check out, prepare, share. Nothing is timed before this is done."""
    base, head = repository.commit(settings.base), repository.commit(settings.head or "HEAD")
    changed = () if settings.head else repository.uncommitted_files()
    if base == head and not changed and not settings.null:
        raise UsageError(
            f"base and head are both {base[:12]}, expected two states to compare; "
            "name another --base, or ask for --null to test the machine"
        )
    if not settings.prepare:
        worktree.refuse_in_place_extensions(repository, find_sources(repository.project_root))
    trees = {}
    for side, commit, label in (("base", base, settings.base), ("head", head, settings.head or "HEAD")):
        tell(f"{side}: {commit[:12]} {label}")
        tree = worktree.add_worktree(repository, side, commit, place / side, label)
        if side == "head" and changed:
            tree = worktree.copy_uncommitted(repository, tree)
            tell(f"{side}: {len(changed)} uncommitted files are part of it")
        for lack in submodules.check_out_submodules(
            repository.root, commit, tree.path, side == "head" and bool(changed)
        ):
            tell(f"{side}: {lack}")
        worktree.refuse_led_out(tree)
        worktree.link_shared_files(repository, tree, settings.share)
        if settings.prepare:
            tell(f"{side}: preparing ({'; '.join(settings.prepare)})")
        python = settings.python
        tree = worktree.run_prepare_commands(
            worktree.with_python(tree, python), settings.prepare, place / f"{side}-prepare.log"
        )
        trees[side] = tree
    stand = PairRunner(repository, settings, place, trees, worktree.install_agent(place), chance)
    try:
        yield stand
    finally:
        stand.fork_servers.close()


@dataclass(frozen=True, slots=True)
class CollectedSuites:
    """What each side holds on its own, before one side's benchmarks were laid over the other."""

    by_side: Mapping[str, SideCollection]

    def nodes(self, side: str) -> tuple[str, ...]:
        return tuple(self.by_side[side].locations)

    def tolerance(self, node: str) -> float | None:
        """What the marker `tolerance` says, on head where head has the test."""
        for side in reversed(SIDES):
            if node in self.by_side[side].locations:
                return self.by_side[side].tolerances.get(node)
        return None

    def refuse_tolerances(self) -> None:
        """UsageError where a marker that would be used says what no tolerance can be."""
        for side in reversed(SIDES):
            for node, (file, line) in self.by_side[side].locations.items():
                if (written := self.tolerance(node)) is not None:
                    RANGES["tolerance"].check(f"{file}:{line}: {node}: mark.tolerance", written)


def collect_suites(stand: PairRunner) -> CollectedSuites:
    """Collect each side on its own and lay the harness where it is to be the same."""
    own = {}
    with ExitStack() as stack:
        started = {side: stack.enter_context(stand.start_side(side, stand.worktrees[side])) for side in SIDES}
        for side, arm in started.items():
            own[side] = _collect_side(arm, stand.settings)
    stand.fork_servers.set_shared_imports(**{side: found.shared_imports for side, found in own.items()})
    _refuse_foreign_packages(own)
    suites = CollectedSuites(own)
    suites.refuse_tolerances()
    giver = stand.settings.harness
    if giver in SIDES:
        taker = "base" if giver == "head" else "head"
        files = {place for place, _ in own[giver].locations.values()}
        worktree, inside = stand.worktrees[giver].path, stand.repository.project_subfolder
        names = find_harness(worktree, files, own[giver].pytest_config, inside)
        copy_harness(worktree, stand.worktrees[taker].path, names)
    return suites


def _collect_side(arm: SideProcess, settings: GateSettings) -> SideCollection:
    try:
        found = ProcessPair(arm, arm, settings.schedule).collect_one(arm)
    except SideProcessError as error:
        # A side that cannot even collect (a path that it lacks) holds no benchmarks; the other may.
        return SideCollection({}, (str(error),), (), "")
    with suppress(SideProcessError):  # that was all that was asked of it
        arm.send(run=[], counting=False)
        arm.receive(settings.schedule.hang_timeout_seconds)
    return found


def _refuse_foreign_packages(own: Mapping[str, SideCollection]) -> None:
    for side, found in own.items():
        for package, place in found.foreign_packages:
            raise UsageError(
                f"{side}: {package} was imported from {place}, expected this side's own source; an editable "
                "install with an import hook comes before the path. Build each side with --prepare "
                "(for example --prepare 'uv venv' --prepare 'uv pip install -e .')"
            )
