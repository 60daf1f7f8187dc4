"""What each side collected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from perfsuite.gate.pair_result import CollectError, NodeId
from perfsuite.gate.project_layout import read_file
from perfsuite.gate.settings import RANGES, GateSettings
from perfsuite.gate.side_process import SIDES, SideProcess, SideProcessError, other_side
from perfsuite.gate.worktree import Worktree, foreign_package_error
from perfsuite.judge.gate_shard import ShardRecord, record_shard
from perfsuite.paths import resolves_inside


@dataclass(frozen=True, slots=True, kw_only=True)
class SideCollection:
    """The benchmarks that one side collected, and what else its process reported then."""

    locations: Mapping[NodeId, tuple[str, int]] = field(default_factory=dict)  # file and line
    errors: tuple[CollectError, ...] = ()
    foreign_packages: tuple[tuple[str, str], ...] = ()  # the project's packages from elsewhere: name, path
    modules_of_repository: tuple[tuple[str, str], ...] = ()  # from the user's checkout: name, path in it
    pytest_config: str = ""
    tolerances: Mapping[NodeId, float] = field(default_factory=dict)  # arguments of `mark.tolerance`
    shared_imports: tuple[str, ...] = ()  # what a fork server could import for this side


def receive_collection(process: SideProcess, timeout_seconds: float) -> SideCollection:
    """Wait until a process has collected; it then waits for the command to run."""
    message = process.receive(timeout_seconds)
    if message.get("event") != "collected":
        raise SideProcessError(
            process.side,
            "died",
            f"{message.get('event')!r}, expected 'collected'; the end of its output:\n{process.tail()}",
        )
    items = message["items"]
    return SideCollection(
        locations={item["id"]: (item["file"], int(item["line"] or 0) + 1) for item in items},
        errors=tuple(CollectError(node, detail) for node, detail in message["errors"]),
        foreign_packages=tuple((name, path) for name, path in message["foreign_packages"]),
        modules_of_repository=tuple((name, path) for name, path in message["modules_of_repository"]),
        pytest_config=message["pytest_config"],
        tolerances={item["id"]: item["tolerance"] for item in items if "tolerance" in item},
        shared_imports=tuple(message["shared_imports"]),
    )


def refuse_foreign_code(by_side: Mapping[str, SideCollection], worktrees: Mapping[str, Worktree]) -> None:
    """UsageError where a side has imported code of the project from outside: other code would be measured."""
    for side, collection in by_side.items():
        for package, path in collection.foreign_packages:
            raise foreign_package_error(side, package, path)
        for module, name in collection.modules_of_repository:
            if not _is_same_on_both_sides(name, worktrees):
                raise foreign_package_error(side, module, f"{name} of your checkout, which differs")


def _is_same_on_both_sides(name: str, worktrees: Mapping[str, Worktree]) -> bool:
    contents = {
        read_file(path) if resolves_inside(path := tree.path / name, tree.path) else b""
        for tree in worktrees.values()
    }
    return len(contents) == 1


@dataclass(frozen=True, slots=True)
class CollectedSuites:
    """What each side holds by itself, before one side's benchmarks are copied over the other's."""

    by_side: Mapping[str, SideCollection]
    rules: str = "base"  # the side whose tolerance markers hold where both sides have a test
    shard: ShardRecord | None = None  # where only its tests are here

    def of_shard(self, settings: GateSettings) -> CollectedSuites:
        """The tests that belong to the shard of these settings; all where it is the whole gate.

        A renamed test belongs to the shard of head's name, on both sides.
        """
        shard, renames = settings.shard, settings.renames
        if shard is None:
            return self
        names = {side: {node: renames.get(node, node) for node in self.nodes(side)} for side in SIDES}
        names["head"] = {node: node for node in self.nodes("head")}
        by_side = {
            side: replace(
                collection,
                locations={
                    node: place
                    for node, place in collection.locations.items()
                    if shard.owns(names[side][node])
                },
            )
            for side, collection in self.by_side.items()
        }
        every_name = [name for each in names.values() for name in each.values()]
        return replace(self, by_side=by_side, shard=record_shard(shard, every_name))

    def nodes(self, side: str) -> tuple[NodeId, ...]:
        return tuple(self.by_side[side].locations)

    def location(self, node: NodeId) -> tuple[str, int]:
        """File and line of a test, on head where head has it."""
        for side in reversed(SIDES):
            if node in self.by_side[side].locations:
                return self.by_side[side].locations[node]
        return node.split("::", 1)[0], 0

    def marked_tolerance(self, node: NodeId) -> float | None:
        """The argument of a test's `tolerance` marker, on the side of the rules where that has the test.

        What base holds wrongly head may correct, so that an invalid marker of base does not hold.
        """
        sides = [self.by_side[side] for side in (self.rules, other_side(self.rules))]
        marked = [side.tolerances.get(node) for side in sides if node in side.locations]
        valid = (value for value in marked if value is None or value in RANGES["tolerance"])
        return next(valid, marked[-1] if marked else None)

    def changed_markers(self) -> tuple[NodeId, ...]:
        """The tests of both sides whose `tolerance` markers differ."""
        base, head = (self.by_side[side] for side in SIDES)
        both = base.locations.keys() & head.locations.keys()
        return tuple(sorted(n for n in both if base.tolerances.get(n) != head.tolerances.get(n)))

    def benchmark_files(self, side: str) -> set[str]:
        return {file for file, _ in self.by_side[side].locations.values()}

    def refuse_invalid_tolerances(self) -> None:
        """UsageError where a marker that would be used holds what no tolerance can be."""
        for side in reversed(SIDES):
            for node, (file, line) in self.by_side[side].locations.items():
                if (tolerance := self.marked_tolerance(node)) is not None:
                    RANGES["tolerance"].check(f"{file}:{line}: {node}: mark.tolerance", tolerance)
