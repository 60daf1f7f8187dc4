"""One pair: a fresh process of each arm, both alive, one working; the token between them is kept here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from perfsuite.gate.arm import Arm, ArmError, Said
from perfsuite.gate.pace import Pace
from perfsuite.measure.gpu import GpuWatch
from perfsuite.measure.measurement import GpuReadings


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side did with the token once: seconds per call."""

    median: float
    low: float  # the 20 % quantile
    seconds_by_stage: Mapping[str, float] = field(default_factory=dict)
    gpu: GpuReadings | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """One workload in one pair: the turns of both sides in time order, the pair's first side first."""

    name: str
    node: str
    first: tuple[Turn, ...]
    second: tuple[Turn, ...]
    items: float = 1.0
    took: float = 0.0  # seconds of the gate's time


@dataclass(frozen=True, slots=True)
class End:
    """How a test ended on one side."""

    outcome: str  # passed, failed, skipped, xfailed, died, hung, stopped
    detail: str = ""

    @property
    def is_bad(self) -> bool:
        return self.outcome not in {"passed", "skipped", "xfailed"}


@dataclass(frozen=True, slots=True)
class Collected:
    """What one side found: benchmarks by node id, with the file and line they stand in."""

    places: Mapping[str, tuple[str, int]]
    errors: tuple[str, ...]
    strangers: tuple[tuple[str, str], ...]
    pytest_config: str
    tolerances: Mapping[str, float] = field(default_factory=dict)  # of markers, as they were written
    imported: tuple[str, ...] = ()


class Pair:
    """Two arms led through the same benchmarks. `first` has the first turn."""

    def __init__(
        self,
        first: Arm,
        second: Arm,
        pace: Pace,
        renames: Mapping[str, str] | None = None,
        gpu: Any = None,
        first_core: int = 0,
    ) -> None:
        self.arms = (first, second)
        self.pace = pace
        self._first_core = first_core
        self.imported: dict[str, list[str]] = {}  # by side: what a parent of both could import
        self._gpu = gpu  # NVML, where there is a device
        self.ends: dict[str, dict[str, End]] = {}  # node -> side -> end
        self.alone: dict[str, tuple[str, str]] = {}  # name -> its node, the only side that reached it
        self._left: set[str] = set()  # sides whose test ended while it was served
        self._renames = dict(renames or {})  # base's node -> head's; everything is said in head's

    def collect(self) -> dict[str, Collected]:
        """Both sides' collections; they wait for `run` afterwards."""
        return {arm.side: self.collect_one(arm) for arm in self.arms}

    def collect_one(self, arm: Arm) -> Collected:
        said = arm.hear(self.pace.patience_seconds)
        if said.get("say") != "collected":
            raise ArmError(arm.side, "died", f"nothing was collected; its last words:\n{arm.tail()}")
        return Collected(
            {item["id"]: (item["file"], int(item["line"] or 0) + 1) for item in said["items"]},
            tuple(said["errors"]),
            tuple((name, place) for name, place in said["strangers"]),
            said["pytest_config"],
            {item["id"]: item["tolerance"] for item in said["items"] if "tolerance" in item},
            tuple(said["imported"]),
        )

    def run(self, nodes: Sequence[str], counting: bool = False) -> None:
        old = {new: old for old, new in self._renames.items()}
        for arm in self.arms:
            mine = [old.get(n, n) for n in nodes] if arm.side == "base" else list(nodes)
            arm.tell(run=mine, counting=counting)

    def _hear(self, arm: Arm) -> Said:
        said = arm.hear(self.pace.patience_seconds)
        if arm.side == "base" and said.get("node") in self._renames:
            node = str(said["node"])
            said["node"] = self._renames[node]
            said["name"] = str(said.get("name", node)).replace(node, self._renames[node], 1)
        return said

    def meetings(self, skip: frozenset[str] = frozenset()) -> Iterator[tuple[str, str, float]]:
        """Each (name, node, items) at which both sides wait for a token; let go when the caller returns.

        A side that ends a test without reaching a benchmark leaves the other to be let go alone.
        """
        waiting: dict[str, Said] = {}
        finished: set[str] = set()
        while len(finished) < len(self.arms):
            for arm in self.arms:
                if arm.side not in waiting and arm.side not in finished:
                    said = self._until_waiting(arm)
                    if said is None:
                        finished.add(arm.side)
                    else:
                        waiting[arm.side] = said
            names = {side: said["name"] for side, said in waiting.items()}
            if len(waiting) == len(self.arms) and len(set(names.values())) == 1:
                said = waiting[self.arms[0].side]
                if said["name"] not in skip:
                    yield said["name"], said["node"], float(said.get("items", 1.0))
                for side in self._left:
                    del waiting[side]
                self._left.clear()
                self._let_go(waiting, list(waiting))
            elif waiting:
                self._let_go(waiting, self._stragglers(waiting, finished))

    def _until_waiting(self, arm: Arm) -> Said | None:
        while True:
            said = self._hear(arm)
            if said["say"] == "at":
                return said
            if said["say"] == "finished":
                _require_whole(arm, said)
                self.imported[arm.side] = said["imported"]
                return None
            if said["say"] == "end":
                self.ends.setdefault(said["node"], {})[arm.side] = End(said["outcome"], said["detail"])

    def _stragglers(self, waiting: Mapping[str, Said], finished: set[str]) -> list[str]:
        """Who has to go on alone: a side at a benchmark that the other has already left behind."""
        if len(waiting) == 1:
            (side,) = waiting
            self.alone[waiting[side]["name"]] = (waiting[side]["node"], side)
            return [side]
        for side, said in waiting.items():
            (other,) = [arm.side for arm in self.arms if arm.side != side]
            if other in self.ends.get(said["node"], {}):
                self.alone[said["name"]] = (said["node"], side)
                return [side]
        # Both wait inside one test at different names.
        for side, said in waiting.items():
            self.alone[said["name"]] = (said["node"], side)
        return list(waiting)

    def _let_go(self, waiting: dict[str, Said], sides: Sequence[str]) -> None:
        for arm in self.arms:
            if arm.side in sides:
                arm.tell(do="go")
                del waiting[arm.side]

    def count(self) -> dict[str, tuple[list[dict[str, int]], str]]:
        """Counters of the call both wait at, twice on each side, and what was lacking for them."""
        for arm in self.arms:
            arm.tell(do="count")
        said = {arm.side: self._answer(arm, "counted") for arm in self.arms}
        return {side: (words["counts"], words.get("lacking", "")) for side, words in said.items()}

    def turns(self, name: str, node: str, items: float) -> Seen:
        """A B B A ... at the call both wait at."""
        begin = time.monotonic()
        # The second side warms up first, so that the first side's first turn is as warm as its later ones.
        warm = [self._warm(arm) for arm in reversed(self.arms)]
        seconds = max(min(said["seconds_per_call"] for said in warm), 1e-9)
        calls = max(1, round(self.pace.sample_seconds / seconds))
        threads, on_device = [int(said["threads"]) for said in warm], any(said["on_device"] for said in warm)
        pace = self.pace.of(threads, on_device)
        how = {
            "seconds": pace.turn_seconds,
            "calls": calls,
            "settle": round(pace.settle_seconds / (calls * seconds)),
            "cores": self._cores(threads),
            "rest": pace.rest_seconds,
        }
        taken: dict[str, list[Turn]] = {"A": [], "B": []}
        longest = max(pace.turn_seconds, seconds)
        while not pace.is_enough(_medians(taken["A"]), _medians(taken["B"]), longest):
            for letter, last in zip("ABBA", (True, False, True, False), strict=True):
                taken[letter].append(self._turn(self.arms["AB".index(letter)], on_device, last=last, **how))
        return Seen(name, node, tuple(taken["A"]), tuple(taken["B"]), items, time.monotonic() - begin)

    def _cores(self, threads: Sequence[int]) -> list[int]:
        """One for each busy thread, the same for both sides; none where it is unknown who works.

        A core may be slow for seconds, while a neighbour of this virtual machine works on its other half.
        """
        number = max(threads) if min(threads) else 0
        if not self.pace.pin or not hasattr(os, "sched_getaffinity"):
            return []
        able = sorted(os.sched_getaffinity(0))
        if number > len(able):
            return []
        return [able[(self._first_core + place) % len(able)] for place in range(number)]

    def _warm(self, arm: Arm) -> Said:
        arm.tell(do="warm")
        return self._answer(arm, "warm")

    def _turn(self, arm: Arm, on_device: bool, **how: Any) -> Turn:
        for _ in range(self.pace.most_retakes):
            turn = self._one_turn(arm, on_device, **how)
            if turn.gpu is None or not turn.gpu.throttled:
                return turn
            time.sleep(self.pace.cooling_seconds)
        return self._one_turn(arm, on_device, **how)

    def _one_turn(self, arm: Arm, on_device: bool, **how: Any) -> Turn:
        watch = GpuWatch(self._gpu if on_device else None)
        watch.begin()
        arm.tell(do="turn", **how)
        said = self._answer(arm, "turn")
        watch.end()
        return Turn(float(said["median"]), float(said["low"]), said["stages"], watch.readings)

    def _answer(self, arm: Arm, kind: str) -> Said:
        said = self._hear(arm)
        if said.get("say") == "end":
            self._left.add(arm.side)
            self.ends.setdefault(said["node"], {})[arm.side] = End(said["outcome"], said["detail"])
            raise CutShortError(f"{said['node']} ended on {arm.side} while it was served")
        if said.get("say") == "finished":
            _require_whole(arm, said)
        if said.get("say") != kind:
            raise ArmError(arm.side, "died", f"said {said.get('say')!r}, expected {kind!r}")
        return said


def _require_whole(arm: Arm, said: Said) -> None:
    """Raise ArmError where a session ended before all of its tests did, as pytest.exit makes it do."""
    if "left" in said:
        after = f"{said['reason']}; {said['left']} of its tests had not ended, expected all"
        raise ArmError(arm.side, "stopped", f"the pytest session ended early: {after}", str(said["node"]))


def _medians(turns: Sequence[Turn]) -> list[float]:
    return [turn.median for turn in turns]


class CutShortError(Exception):
    """A test ended in the middle of being served: its call raised."""


@dataclass(slots=True)
class PairResult:
    """All that one pair saw."""

    seen: list[Seen] = field(default_factory=list)
    counted: dict[str, dict[str, list[dict[str, int]]]] = field(default_factory=dict)  # name, side
    nodes: dict[str, str] = field(default_factory=dict)  # name -> node
    ends: dict[str, dict[str, End]] = field(default_factory=dict)
    alone: dict[str, tuple[str, str]] = field(default_factory=dict)
    collect_errors: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by side
    lacking: str = ""
    broken_off: str = ""  # why the pair ended early
    out_of_time: bool = False  # ... which is nobody's fault
    first_side: str = ""  # whose turn was the first


def lead(
    pair: Pair,
    nodes: Sequence[str],
    counting: bool = False,
    skip: frozenset[str] = frozenset(),
    enough: Callable[[], bool] = lambda: False,
) -> PairResult:
    """Lead both sides through `nodes`, counted or timed. A side that dies ends the pair, not the gate."""
    found = PairResult(ends=pair.ends, alone=pair.alone, first_side=pair.arms[0].side)
    node = ""
    try:
        pair.run(nodes, counting)
        for name, node, items in pair.meetings(skip):
            if enough():
                found.broken_off, found.out_of_time = "the time for the gate is spent", True
                break
            found.nodes[name] = node
            with suppress(CutShortError):
                if counting:
                    for side, (counts, lacking) in pair.count().items():
                        found.counted.setdefault(name, {})[side] = counts
                        found.lacking = found.lacking or lacking
                else:
                    found.seen.append(pair.turns(name, node, items))
            node = ""
    except ArmError as error:
        found.broken_off = str(error)
        # Lost in the test being served, or in the first that this side did not end.
        lost = node or error.node or next((n for n in nodes if error.side not in pair.ends.get(n, {})), "")
        if lost:
            found.ends.setdefault(lost, {})[error.side] = End(error.how, str(error))
    return found
