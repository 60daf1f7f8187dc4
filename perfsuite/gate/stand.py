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
from perfsuite.gate import arms, submodules
from perfsuite.gate.arm import Arm, ArmError
from perfsuite.gate.arms import Repository, Tree
from perfsuite.gate.layout import harness_of, lay_harness, sources
from perfsuite.gate.parent import Parent, ParentError, Parents, can_fork
from perfsuite.gate.settings import RANGES, Settings
from perfsuite.gate.turns import Collected, Pair, PairResult, lead
from perfsuite.measure.gpu import nvml

SIDES = ("base", "head")


@dataclass(slots=True)
class Stand:
    """Two prepared trees and what is needed to start processes in them."""

    repository: Repository
    settings: Settings
    place: Path
    trees: Mapping[str, Tree]
    plugin: Path
    chance: random.Random
    started: int = 0
    luck: Mapping[str, str] = field(default_factory=dict)  # what a pair draws for both its sides
    null_pairs: int = 0
    gpu: Any = field(default_factory=nvml)
    parents: Parents = field(init=False)

    def __post_init__(self) -> None:
        alike = len({tree.python for tree in self.trees.values()}) == 1
        as_it_is = not any(tree.prepared for tree in self.trees.values())
        self.parents = Parents(self._parent, is_allowed=alike and as_it_is and can_fork())

    def _parent(self, modules: Sequence[str]) -> Parent:
        around = arms.parent_environment(self.plugin, self.place.name, self.luck)
        return Parent(arms.parent_command(self.trees["head"]), around, self.place, modules)

    def arm(self, side: str, tree: Tree) -> Arm:
        """A process of `tree` in the role of `side`."""
        self.started += 1
        scratch = self.place / f"{self.started:04}"
        around = arms.environment(self.repository, tree, side, self.plugin, scratch, self.luck)
        log = scratch.with_suffix(f".{side}.log")
        command = arms.command(tree, self.settings.pytest_words)
        try:
            return Arm(side, command, around, tree.root, log, self.parents.current)
        except ParentError:  # killed, for its memory perhaps
            self.parents.give_up()
            return Arm(side, command, around, tree.root, log)

    @contextmanager
    def pair(self, null: bool = False) -> Iterator[tuple[Pair, dict[str, Collected]]]:
        """Both sides started at once and collected; which has the first turn is a coin toss.

        Null pairs take it in turns: six coins may agree, and what the first slot does is no fault of an arm.
        """
        order = list(SIDES)
        if self.null_pairs % 2 if null else self.chance.random() < 0.5:
            order.reverse()
        self.null_pairs += null
        self.luck = arms.luck(self.chance)
        self.parents.renew()
        with ExitStack() as stack:
            stack.callback(self._clear_scratch, self.started)
            taking_part = [
                stack.enter_context(self.arm(side, self.trees["base" if null else side])) for side in order
            ]
            renames = self.settings.renames if self.settings.harness == "own" and not null else {}
            core = self.chance.randrange(64)
            pace = self.settings.pace.for_null_pairs() if null else self.settings.pace
            pair = Pair(taking_part[0], taking_part[1], pace, renames, self.gpu, core)
            yield pair, pair.collect()
            if len(pair.imported) == len(SIDES) and not null:
                self.parents.learn(**pair.imported)

    def _clear_scratch(self, before: int) -> None:
        """What the tests of one pair wrote need not wait for the end of the gate."""
        for number in range(before + 1, self.started + 1):
            shutil.rmtree(self.place / f"{number:04}", ignore_errors=True)

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
            with self.pair(null) as (pair, collected):
                result = lead(pair, nodes, counting, skip, enough)
                result.collect_errors = {side: found.errors for side, found in collected.items()}
                return result
        except ArmError as error:
            return PairResult(broken_off=str(error))


@contextmanager
def make_ready(
    repository: Repository,
    settings: Settings,
    place: Path,
    chance: random.Random,
    tell: Callable[[str], None],
) -> Iterator[Stand]:
    """Check out, prepare, share. Nothing is timed before this is done."""
    base, head = repository.commit(settings.base), repository.commit(settings.head or "HEAD")
    changed = () if settings.head else repository.changed_here()
    if base == head and not changed and not settings.null:
        raise UsageError(
            f"base and head are both {base[:12]}, expected two states to compare; "
            "name another --base, or ask for --null to test the machine"
        )
    if not settings.prepare:
        arms.refuse_compiled(repository, sources(repository.project))
    trees = {}
    for side, commit, label in (("base", base, settings.base), ("head", head, settings.head or "HEAD")):
        tell(f"{side}: {commit[:12]} {label}")
        tree = arms.check_out(repository, side, commit, place / side, label)
        if side == "head" and changed:
            tree = arms.copy_uncommitted(repository, tree)
            tell(f"{side}: {len(changed)} uncommitted files are part of it")
        for lack in submodules.fill(repository.root, commit, tree.worktree, side == "head" and bool(changed)):
            tell(f"{side}: {lack}")
        arms.refuse_led_out(tree)
        arms.link_shared(repository, tree, settings.share)
        if settings.prepare:
            tell(f"{side}: preparing ({'; '.join(settings.prepare)})")
        python = settings.python
        tree = arms.prepare(arms.with_python(tree, python), settings.prepare, place / f"{side}-prepare.log")
        trees[side] = tree
    stand = Stand(repository, settings, place, trees, arms.install_plugin(place), chance)
    try:
        yield stand
    finally:
        stand.parents.close()


@dataclass(frozen=True, slots=True)
class Suites:
    """What each side holds on its own, before one side's benchmarks were laid over the other."""

    own: Mapping[str, Collected]

    def nodes(self, side: str) -> tuple[str, ...]:
        return tuple(self.own[side].places)

    def tolerance(self, node: str) -> float | None:
        """What the marker `tolerance` says, on head where head has the test."""
        for side in reversed(SIDES):
            if node in self.own[side].places:
                return self.own[side].tolerances.get(node)
        return None

    def refuse_tolerances(self) -> None:
        """UsageError where a marker that would be used says what no tolerance can be."""
        for side in reversed(SIDES):
            for node, (file, line) in self.own[side].places.items():
                if (written := self.tolerance(node)) is not None:
                    RANGES["tolerance"].check(f"{file}:{line}: {node}: mark.tolerance", written)


def survey(stand: Stand) -> Suites:
    """Collect each side on its own and lay the harness where it is to be the same."""
    own = {}
    with ExitStack() as stack:
        started = {side: stack.enter_context(stand.arm(side, stand.trees[side])) for side in SIDES}
        for side, arm in started.items():
            own[side] = _collected(arm, stand.settings)
    stand.parents.learn(**{side: found.imported for side, found in own.items()})
    _refuse_strangers(own)
    suites = Suites(own)
    suites.refuse_tolerances()
    giver = stand.settings.harness
    if giver in SIDES:
        taker = "base" if giver == "head" else "head"
        files = {place for place, _ in own[giver].places.values()}
        worktree, inside = stand.trees[giver].worktree, stand.repository.inside
        names = harness_of(worktree, files, own[giver].pytest_config, inside)
        lay_harness(worktree, stand.trees[taker].worktree, names)
    return suites


def _collected(arm: Arm, settings: Settings) -> Collected:
    try:
        found = Pair(arm, arm, settings.pace).collect_one(arm)
    except ArmError as error:
        # A side that cannot even collect (a path that it lacks) holds no benchmarks; the other may.
        return Collected({}, (str(error),), (), "")
    with suppress(ArmError):  # that was all that was asked of it
        arm.tell(run=[], counting=False)
        arm.hear(settings.pace.patience_seconds)
    return found


def _refuse_strangers(own: Mapping[str, Collected]) -> None:
    for side, found in own.items():
        for package, place in found.strangers:
            raise UsageError(
                f"{side}: {package} was imported from {place}, expected this side's own source; an editable "
                "install with an import hook comes before the path. Build each side with --prepare "
                "(for example --prepare 'uv venv' --prepare 'uv pip install -e .')"
            )
