"""One pair: a fresh process of each arm, both alive, one working; the token between them is kept here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from perfsuite.gate.schedule import TurnSchedule
from perfsuite.gate.side_process import Message, SideProcess, SideProcessError
from perfsuite.measure.gpu import GpuMonitor
from perfsuite.measure.measurement import GpuReadings


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side did with the token once: seconds per call."""

    median: float
    low: float  # the 20 % quantile
    seconds_by_stage: Mapping[str, float] = field(default_factory=dict)
    gpu: GpuReadings | None = None


@dataclass(frozen=True, slots=True)
class WorkloadTurns:
    """One workload in one pair: the turns of both sides in time order, the pair's first side first."""

    name: str
    node: str
    first_turns: tuple[Turn, ...]
    second_turns: tuple[Turn, ...]
    items: float = 1.0
    gate_seconds: float = 0.0  # seconds of the gate's time


@dataclass(frozen=True, slots=True)
class NodeOutcome:
    """How a test ended on one side."""

    outcome: str  # passed, failed, skipped, xfailed, died, hung, stopped
    detail: str = ""

    @property
    def is_bad(self) -> bool:
        return self.outcome not in {"passed", "skipped", "xfailed"}


@dataclass(frozen=True, slots=True)
class SideCollection:
    """What one side found: benchmarks by node id, with the file and line they stand in."""

    locations: Mapping[str, tuple[str, int]]
    errors: tuple[str, ...]
    foreign_packages: tuple[tuple[str, str], ...]
    pytest_config: str
    tolerances: Mapping[str, float] = field(default_factory=dict)  # of markers, as they were written
    shared_imports: tuple[str, ...] = ()


class ProcessPair:
    """Two arms led through the same benchmarks. `first` has the first turn."""

    def __init__(
        self,
        first: SideProcess,
        second: SideProcess,
        pace: TurnSchedule,
        renames: Mapping[str, str] | None = None,
        gpu: Any = None,
        first_core: int = 0,
    ) -> None:
        self.processes = (first, second)
        self.schedule = pace
        self._first_core = first_core
        self.shared_imports: dict[str, list[str]] = {}  # by side: what a parent of both could import
        self._gpu = gpu  # NVML, where there is a device
        self.outcomes: dict[str, dict[str, NodeOutcome]] = {}  # node -> side -> end
        self.one_sided: dict[str, tuple[str, str]] = {}  # name -> its node, the only side that reached it
        self._ended_sides: set[str] = set()  # sides whose test ended while it was served
        self._renames = dict(renames or {})  # base's node -> head's; everything is said in head's

    def collect(self) -> dict[str, SideCollection]:
        """Both sides' collections; they wait for `run` afterward."""
        return {arm.side: self.collect_one(arm) for arm in self.processes}

    def collect_one(self, arm: SideProcess) -> SideCollection:
        said = arm.receive(self.schedule.hang_timeout_seconds)
        if said.get("say") != "collected":
            raise SideProcessError(arm.side, "died", f"nothing was collected; its last words:\n{arm.tail()}")
        return SideCollection(
            {item["id"]: (item["file"], int(item["line"] or 0) + 1) for item in said["items"]},
            tuple(said["errors"]),
            tuple((name, place) for name, place in said["strangers"]),
            said["pytest_config"],
            {item["id"]: item["tolerance"] for item in said["items"] if "tolerance" in item},
            tuple(said["imported"]),
        )

    def run(self, nodes: Sequence[str], counting: bool = False) -> None:
        old = {new: old for old, new in self._renames.items()}
        for arm in self.processes:
            mine = [old.get(n, n) for n in nodes] if arm.side == "base" else list(nodes)
            arm.send(run=mine, counting=counting)

    def _receive(self, arm: SideProcess) -> Message:
        said = arm.receive(self.schedule.hang_timeout_seconds)
        if arm.side == "base" and said.get("node") in self._renames:
            node = str(said["node"])
            said["node"] = self._renames[node]
            said["name"] = str(said.get("name", node)).replace(node, self._renames[node], 1)
        return said

    def matched_benchmarks(self, skip: frozenset[str] = frozenset()) -> Iterator[tuple[str, str, float]]:
        """Each (name, node, items) at which both sides wait for a token; let go when the caller returns.

        A side that ends a test without reaching a benchmark leaves the other to be let go alone.
        """
        waiting: dict[str, Message] = {}
        finished: set[str] = set()
        while len(finished) < len(self.processes):
            for arm in self.processes:
                if arm.side not in waiting and arm.side not in finished:
                    said = self._next_benchmark(arm)
                    if said is None:
                        finished.add(arm.side)
                    else:
                        waiting[arm.side] = said
            names = {side: said["name"] for side, said in waiting.items()}
            if len(waiting) == len(self.processes) and len(set(names.values())) == 1:
                said = waiting[self.processes[0].side]
                if said["name"] not in skip:
                    yield said["name"], said["node"], float(said.get("items", 1.0))
                for side in self._ended_sides:
                    del waiting[side]
                self._ended_sides.clear()
                self._release(waiting, list(waiting))
            elif waiting:
                self._release(waiting, self._unmatched_sides(waiting, finished))

    def _next_benchmark(self, arm: SideProcess) -> Message | None:
        while True:
            said = self._receive(arm)
            if said["say"] == "at":
                return said
            if said["say"] == "finished":
                _require_whole(arm, said)
                self.shared_imports[arm.side] = said["imported"]
                return None
            if said["say"] == "end":
                self.outcomes.setdefault(said["node"], {})[arm.side] = NodeOutcome(
                    said["outcome"], said["detail"]
                )

    def _unmatched_sides(self, waiting: Mapping[str, Message], finished: set[str]) -> list[str]:
        """Who has to go on alone: a side at a benchmark that the other has already left behind."""
        if len(waiting) == 1:
            (side,) = waiting
            self.one_sided[waiting[side]["name"]] = (waiting[side]["node"], side)
            return [side]
        for side, said in waiting.items():
            (other,) = [arm.side for arm in self.processes if arm.side != side]
            if other in self.outcomes.get(said["node"], {}):
                self.one_sided[said["name"]] = (said["node"], side)
                return [side]
        # Both wait inside one test at different names.
        for side, said in waiting.items():
            self.one_sided[said["name"]] = (said["node"], side)
        return list(waiting)

    def _release(self, waiting: dict[str, Message], sides: Sequence[str]) -> None:
        for arm in self.processes:
            if arm.side in sides:
                arm.send(do="go")
                del waiting[arm.side]

    def count(self) -> dict[str, tuple[list[dict[str, int]], str]]:
        """Counters of the call both wait at, twice on each side, and what was lacking for them."""
        for arm in self.processes:
            arm.send(do="count")
        said = {arm.side: self._expect(arm, "counted") for arm in self.processes}
        return {side: (words["counts"], words.get("lacking", "")) for side, words in said.items()}

    def take_turns(self, name: str, node: str, items: float) -> WorkloadTurns:
        """A B B A ... at the call both wait at."""
        begin = time.monotonic()
        # The second side warms up first, so that the first side's first turn is as warm as its later ones.
        warm = [self._warm_up(arm) for arm in reversed(self.processes)]
        seconds = max(min(said["seconds_per_call"] for said in warm), 1e-9)
        calls = max(1, round(self.schedule.sample_seconds / seconds))
        threads, on_device = [int(said["threads"]) for said in warm], any(said["on_device"] for said in warm)
        pace = self.schedule.for_workload(threads, on_device)
        how = {
            "seconds": pace.turn_seconds,
            "calls": calls,
            "settle": round(pace.settle_seconds / (calls * seconds)),
            "cores": self._cores(threads),
            "rest": pace.idle_wait_seconds,
        }
        taken: dict[str, list[Turn]] = {"A": [], "B": []}
        longest = max(pace.turn_seconds, seconds)
        while not pace.is_enough(_medians(taken["A"]), _medians(taken["B"]), longest):
            for letter, last in zip("ABBA", (True, False, True, False), strict=True):
                taken[letter].append(
                    self._take_turn(self.processes["AB".index(letter)], on_device, last=last, **how)
                )
        return WorkloadTurns(
            name, node, tuple(taken["A"]), tuple(taken["B"]), items, time.monotonic() - begin
        )

    def _cores(self, threads: Sequence[int]) -> list[int]:
        """One for each busy thread, the same for both sides; none where it is unknown who works.

        A core may be slow for seconds, while a neighbor of this virtual machine works on its other half.
        """
        number = max(threads) if min(threads) else 0
        if not self.schedule.pin or not hasattr(os, "sched_getaffinity"):
            return []
        able = sorted(os.sched_getaffinity(0))
        if number > len(able):
            return []
        return [able[(self._first_core + place) % len(able)] for place in range(number)]

    def _warm_up(self, arm: SideProcess) -> Message:
        arm.send(do="warm")
        return self._expect(arm, "warm")

    def _take_turn(self, arm: SideProcess, on_device: bool, **how: Any) -> Turn:
        for _ in range(self.schedule.max_retakes):
            turn = self._request_turn(arm, on_device, **how)
            if turn.gpu is None or not turn.gpu.throttled:
                return turn
            time.sleep(self.schedule.cooling_seconds)
        return self._request_turn(arm, on_device, **how)

    def _request_turn(self, arm: SideProcess, on_device: bool, **how: Any) -> Turn:
        watch = GpuMonitor(self._gpu if on_device else None)
        watch.begin()
        arm.send(do="turn", **how)
        said = self._expect(arm, "turn")
        watch.end()
        return Turn(float(said["median"]), float(said["low"]), said["stages"], watch.readings)

    def _expect(self, arm: SideProcess, kind: str) -> Message:
        said = self._receive(arm)
        if said.get("say") == "end":
            self._ended_sides.add(arm.side)
            self.outcomes.setdefault(said["node"], {})[arm.side] = NodeOutcome(
                said["outcome"], said["detail"]
            )
            raise BenchmarkEndedError(f"{said['node']} ended on {arm.side} while it was served")
        if said.get("say") == "finished":
            _require_whole(arm, said)
        if said.get("say") != kind:
            raise SideProcessError(arm.side, "died", f"said {said.get('say')!r}, expected {kind!r}")
        return said


def _require_whole(arm: SideProcess, said: Message) -> None:
    """Raise ArmError where a session ended before all of its tests did, as pytest.exit makes it do."""
    if "left" in said:
        after = f"{said['reason']}; {said['left']} of its tests had not ended, expected all"
        raise SideProcessError(
            arm.side, "stopped", f"the pytest session ended early: {after}", str(said["node"])
        )


def _medians(turns: Sequence[Turn]) -> list[float]:
    return [turn.median for turn in turns]


class BenchmarkEndedError(Exception):
    """A test ended in the middle of being served: its call raised."""


@dataclass(slots=True)
class PairResult:
    """All that one pair saw."""

    workload_turns: list[WorkloadTurns] = field(default_factory=list)
    counts: dict[str, dict[str, list[dict[str, int]]]] = field(default_factory=dict)  # name, side
    nodes: dict[str, str] = field(default_factory=dict)  # name -> node
    outcomes: dict[str, dict[str, NodeOutcome]] = field(default_factory=dict)
    one_sided: dict[str, tuple[str, str]] = field(default_factory=dict)
    collect_errors: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by side
    missing_counters: str = ""
    abort_reason: str = ""  # why the pair ended early
    is_out_of_time: bool = False  # ... which is nobody's fault
    first_side: str = ""  # whose turn was the first


def run_pair(
    pair: ProcessPair,
    nodes: Sequence[str],
    counting: bool = False,
    skip: frozenset[str] = frozenset(),
    enough: Callable[[], bool] = lambda: False,
) -> PairResult:
    """Lead both sides through `nodes`, counted or timed. A side that dies ends the pair, not the gate."""
    found = PairResult(outcomes=pair.outcomes, one_sided=pair.one_sided, first_side=pair.processes[0].side)
    node = ""
    try:
        pair.run(nodes, counting)
        for name, node, items in pair.matched_benchmarks(skip):
            if enough():
                found.abort_reason, found.is_out_of_time = "the time for the gate is spent", True
                break
            found.nodes[name] = node
            with suppress(BenchmarkEndedError):
                if counting:
                    for side, (counts, lacking) in pair.count().items():
                        found.counts.setdefault(name, {})[side] = counts
                        found.missing_counters = found.missing_counters or lacking
                else:
                    found.workload_turns.append(pair.take_turns(name, node, items))
            node = ""
    except SideProcessError as error:
        found.abort_reason = str(error)
        # Lost in the test being served, or in the first that this side did not end.
        lost = (
            node or error.node or next((n for n in nodes if error.side not in pair.outcomes.get(n, {})), "")
        )
        if lost:
            found.outcomes.setdefault(lost, {})[error.side] = NodeOutcome(error.cause, str(error))
    return found
