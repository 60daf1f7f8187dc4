"""One pair: a fresh process of each side, both alive, of which one works at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from perfsuite.gate.collection import SideCollection, receive_collection
from perfsuite.gate.messages import Message
from perfsuite.gate.pair_result import NodeId, NodeOutcome, Turn, WorkloadName, WorkloadTurns
from perfsuite.gate.schedule import TurnSchedule
from perfsuite.gate.side_process import SideProcess, SideProcessError, other_side
from perfsuite.measure.gpu import GpuMonitor

MAX_MESSAGES_PER_TEST = 1000  # a test serves two workloads at most
SHORTEST_CALL_SECONDS = 1e-9  # the least that a call is taken to last


class BenchmarkEndedError(Exception):
    """A test ended while its workload was being served: its call raised."""


class OutOfTimeError(Exception):
    """The gate's time was spent before a workload had enough turns."""


class ProcessPair:
    """Two processes led through the same benchmarks; `first` has the first turn.

    Tests that were renamed have other names on base. Everything here uses head's.
    """

    def __init__(
        self,
        first: SideProcess,
        second: SideProcess,
        schedule: TurnSchedule,
        renames: Mapping[str, str] | None = None,
        gpu: Any = None,
        first_core: int = 0,
        is_out_of_time: Callable[[], bool] = lambda: False,
    ) -> None:
        self.processes = (first, second)
        self.schedule = schedule
        self.shared_imports: dict[str, list[str]] = {}  # by side: what a fork server could import
        self.outcomes: dict[NodeId, dict[str, NodeOutcome]] = {}  # by side
        self.one_sided: dict[WorkloadName, tuple[NodeId, str]] = {}  # the test, the only side to reach it
        self.is_out_of_time = is_out_of_time  # looked at before each turn, which may take seconds
        self._first_core = first_core
        self._gpu = gpu  # NVML, where there is a device
        self._ended_sides: set[str] = set()  # sides whose test ended while it was being served
        self._messages_left = MAX_MESSAGES_PER_TEST  # of both sides together
        self._renames = dict(renames or {})  # base's node id -> head's

    def collect(self) -> dict[str, SideCollection]:
        """Both sides' collections; the processes then wait for `run`."""
        timeout = self.schedule.hang_timeout_seconds
        return {process.side: receive_collection(process, timeout) for process in self.processes}

    def run(self, nodes: Sequence[NodeId], is_counting: bool = False) -> None:
        """Let both sides run these tests, up to the first benchmark."""
        self._messages_left = MAX_MESSAGES_PER_TEST * (1 + len(nodes))
        base_names = {head: base for base, head in self._renames.items()}
        for process in self.processes:
            names = [base_names.get(node, node) for node in nodes] if process.side == "base" else list(nodes)
            process.send(command="run", nodes=names, is_counting=is_counting)

    def _receive(self, process: SideProcess) -> Message:
        message = process.receive(self.schedule.hang_timeout_seconds)
        if process.side == "base" and message.get("node") in self._renames:
            node = str(message["node"])
            message["node"] = self._renames[node]
            message["name"] = str(message.get("name", node)).replace(node, self._renames[node], 1)
        return message

    # Matching: bring both sides to the same benchmark.
    def matched_benchmarks(
        self, skip: frozenset[WorkloadName] = frozenset()
    ) -> Iterator[tuple[WorkloadName, NodeId, float]]:
        """Each (name, node, items) at which both sides wait for commands; they continue after it.

        A side that ends a test without reaching a benchmark lets the other continue alone.
        """
        waiting: dict[str, Message] = {}
        finished: set[str] = set()
        while len(finished) < len(self.processes):
            for process in self.processes:
                if process.side not in waiting and process.side not in finished:
                    message = self._next_benchmark(process)
                    if message is None:
                        finished.add(process.side)
                    else:
                        waiting[process.side] = message
            names = {message["name"] for message in waiting.values()}
            if len(waiting) == len(self.processes) and len(names) == 1:
                message = waiting[self.processes[0].side]
                if message["name"] not in skip:
                    yield message["name"], message["node"], float(message.get("items", 1.0))
                for side in self._ended_sides:
                    del waiting[side]
                self._ended_sides.clear()
                self._continue(waiting, list(waiting))
            elif waiting:
                self._continue(waiting, self._unmatched_sides(waiting))

    def _next_benchmark(self, process: SideProcess) -> Message | None:
        """The message of the next benchmark that a side waits at; None when its session has finished."""
        while self._messages_left:
            self._messages_left -= 1
            message = self._receive(process)
            if message["event"] == "waiting":
                return message
            if message["event"] == "session_finished":
                _refuse_early_end(process, message)
                self.shared_imports[process.side] = message["shared_imports"]
                return None
            if message["event"] == "test_ended":
                self._record_outcome(process, message)
        raise SideProcessError(
            process.side,
            "invalid message",
            f"endless messages, expected at most {MAX_MESSAGES_PER_TEST} a test",
        )

    def _record_outcome(self, process: SideProcess, message: Message) -> None:
        outcome = NodeOutcome(message["outcome"], message["detail"])
        self.outcomes.setdefault(message["node"], {})[process.side] = outcome

    def _unmatched_sides(self, waiting: Mapping[str, Message]) -> list[str]:
        """The sides that continue alone: those at a benchmark that the other side does not reach."""
        if len(waiting) > 1:
            passed_by = [
                side
                for side, message in waiting.items()
                if other_side(side) in self.outcomes.get(message["node"], {})
            ]
            # If neither side has finished the other's test, both are in one test but at different workloads.
            sides = passed_by[:1] or list(waiting)
        else:
            sides = list(waiting)
        for side in sides:
            self.one_sided[waiting[side]["name"]] = (waiting[side]["node"], side)
        return sides

    def _continue(self, waiting: dict[str, Message], sides: Sequence[str]) -> None:
        for process in self.processes:
            if process.side in sides:
                process.send(command="continue")
                del waiting[process.side]

    # Commands at the benchmark that both sides wait at.
    def count(self) -> dict[str, tuple[list[dict[str, int]], str]]:
        """By side: counters of the call, counted twice, and why some are missing."""
        messages = self._ask_both("count", "counted")
        return {side: (message["counts"], message.get("missing", "")) for side, message in messages.items()}

    def call(self) -> None:
        """Let both sides make calls for a recording."""
        self._ask_both("call", "called")

    def _ask_both(self, command: str, event: str) -> dict[str, Message]:
        for process in self.processes:
            process.send(command=command)
        return {process.side: self._expect(process, event) for process in self.processes}

    def take_turns(self, name: WorkloadName, node: NodeId, items: float) -> WorkloadTurns:
        """Turns in the order A B B A ... until they are enough."""
        begin = time.monotonic()
        # The second side warms up first, so that the first side's first turn is as warm as its later ones.
        warm_ups = [self._warm_up(process) for process in reversed(self.processes)]
        fastest = min(message["seconds_per_call"] for message in warm_ups)
        seconds = max(fastest, SHORTEST_CALL_SECONDS)
        calls = max(1, round(self.schedule.sample_seconds / seconds))
        threads = [int(message["threads"]) for message in warm_ups]
        on_device = any(message["on_device"] for message in warm_ups)
        schedule = self.schedule.for_workload(threads, on_device)
        options = {
            "seconds": schedule.turn_seconds,
            "calls": calls,
            "settle_rounds": round(schedule.settle_seconds / (calls * seconds)),
            "cores": self._cores(threads),
            "idle_wait_seconds": schedule.idle_wait_seconds,
        }
        first, second = self.processes
        turns: dict[str, list[Turn]] = {first.side: [], second.side: []}
        longest = max(schedule.turn_seconds, seconds)
        while not schedule.is_enough(_medians(turns[first.side]), _medians(turns[second.side]), longest):
            for process, is_handing_over in ((first, True), (second, False), (second, True), (first, False)):
                turns[process.side].append(
                    self._take_turn(process, on_device, wait_until_idle=is_handing_over, **options)
                )
        return WorkloadTurns(
            name=name,
            node=node,
            first_turns=tuple(turns[first.side]),
            second_turns=tuple(turns[second.side]),
            items=items,
            gate_seconds=time.monotonic() - begin,
        )

    def _cores(self, threads: Sequence[int]) -> list[int]:
        """One core for each busy thread, the same for both sides; none where the busy threads are unknown.

        A core may be slow for seconds, while another virtual machine uses the sibling hyperthread.
        """
        number = max(threads) if min(threads) else 0
        if not self.schedule.pin or not hasattr(os, "sched_getaffinity"):
            return []
        allowed = sorted(os.sched_getaffinity(0))
        if number > len(allowed):
            return []
        return [allowed[(self._first_core + offset) % len(allowed)] for offset in range(number)]

    def refuse_without_time(self) -> None:
        if self.is_out_of_time():
            raise OutOfTimeError

    def _warm_up(self, process: SideProcess) -> Message:
        self.refuse_without_time()
        process.send(command="warm_up")
        return self._expect(process, "warmed_up")

    def _take_turn(self, process: SideProcess, on_device: bool, **options: Any) -> Turn:
        """One turn, repeated a few times where the GPU was throttled."""
        for _ in range(self.schedule.max_retakes):
            turn = self._request_turn(process, on_device, **options)
            if turn.gpu is None or not turn.gpu.throttled:
                return turn
            time.sleep(self.schedule.cooling_seconds)
        return self._request_turn(process, on_device, **options)

    def _request_turn(self, process: SideProcess, on_device: bool, **options: Any) -> Turn:
        self.refuse_without_time()
        monitor = GpuMonitor(self._gpu if on_device else None)
        monitor.begin()
        process.send(command="turn", **options)
        message = self._expect(process, "turn_ended")
        monitor.end()
        return Turn(
            median=max(float(message["median"]), SHORTEST_CALL_SECONDS),
            low=max(float(message["low"]), SHORTEST_CALL_SECONDS),
            seconds_by_stage=message["seconds_by_stage"],
            gpu=monitor.readings,
            waited_share=float(message["waited_share"]),
        )

    def _expect(self, process: SideProcess, event: str) -> Message:
        message = self._receive(process)
        if message.get("event") == "test_ended":
            self._ended_sides.add(process.side)
            self._record_outcome(process, message)
            raise BenchmarkEndedError(f"{message['node']} ended on {process.side} while it was served")
        if message.get("event") == "session_finished":
            _refuse_early_end(process, message)
        if message.get("event") != event:
            raise SideProcessError(process.side, "died", f"sent {message.get('event')!r}, expected {event!r}")
        return message


def _refuse_early_end(process: SideProcess, message: Message) -> None:
    """SideProcessError where a session ended before all of its tests did, as with pytest.exit."""
    if "unfinished_count" in message:
        raise SideProcessError(
            process.side,
            "stopped",
            f"the pytest session ended early: {message['reason']}; {message['unfinished_count']} of its "
            "tests had not ended, expected all",
            str(message["node"]),
        )


def _medians(turns: Sequence[Turn]) -> list[float]:
    return [turn.median for turn in turns]
