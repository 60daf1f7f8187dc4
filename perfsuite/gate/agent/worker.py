"""Sample and count one workload at the gate's command."""

from __future__ import annotations

import gc
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from .benchmark_call import BenchmarkCall
from .connection import GateConnection, Message
from .optional import (
    call_without_compiling,
    listening_to_stages,
    load_counter,
    torch_compile_counts,
    uses_device,
)
from .randomize import CorePins, HeapRandomizer, busy_threads, read_cpu_times, wait_until_idle
from .run_delay import RunDelayClock, TurnWaits
from .stage_clock import AgentStageClock

MAX_WARM_UP_SECONDS = 0.05
# A call of one thread is warm when its fastest sample in such a time is no faster than those before.
WARM_UP_WINDOW_SECONDS = 0.003
STEADY_RATIO = 0.98
MAX_RECORDED_CALLS, RECORDED_SECONDS = 8, 0.1  # a call that chooses at random shows more than one path
MAX_TURN_STRETCH = 4.0  # a pedantic setup may make a turn this many times longer than requested
WALL_CLOCKS = (time.perf_counter, time.monotonic, time.time)  # another clock may not count waits


@contextmanager
def _tracing_disabled() -> Iterator[None]:
    tracer, profiler = sys.gettrace(), sys.getprofile()
    sys.settrace(None)
    sys.setprofile(None)
    try:
        yield
    finally:
        sys.settrace(tracer)
        sys.setprofile(profiler)


class AgentWorker:
    """Serve the gate's commands for one workload at a time."""

    def __init__(self, connection: GateConnection) -> None:
        self.connection = connection
        self.compile_counts_before: dict[str, int] = {}  # of torch.compile, when the test started
        self.is_recorded = False  # the process records what its calls run
        self._heap = HeapRandomizer()
        self._pins = CorePins()
        self._samples: list[float] = []
        self._busy_threads: list[int] = []  # native ids of the threads that work in a call
        self._handlers: dict[str, Callable[[BenchmarkCall, Message], None]] = {
            "warm_up": self._warm_up,
            "turn": self._take_turn,
            "count": self._count,
            "call": self._call,
        }

    def serve(self, node: str, name: str, workload: BenchmarkCall, items: float = 1.0) -> list[float]:
        """Serve this workload until the gate continues; return the seconds per call of all samples."""
        self._samples = []
        self._heap.fill_holes()
        with nullcontext() if self.is_recorded else _tracing_disabled():
            workload.sample(1)  # imports, compilation and first page touches, before anything is timed
            gc.collect()
            self.connection.send(event="waiting", node=node, name=name, items=items)
            try:
                while (message := self.connection.receive())["command"] != "continue":
                    handler = self._handlers.get(message["command"])
                    if handler is None:
                        self.connection.send(event="unknown_command", command=message["command"])
                    else:
                        handler(workload, message)
            finally:
                self._pins.release()
        return self._samples

    def _warm_up(self, workload: BenchmarkCall, message: Message) -> None:
        begin, before = time.perf_counter(), read_cpu_times()
        fastest, is_over, is_warm = math.inf, False, False
        while not (is_over or is_warm):
            fastest_before = fastest
            fastest = min(fastest, _fastest_sample(workload, WARM_UP_WINDOW_SECONDS))
            elapsed = time.perf_counter() - begin
            is_over, is_steady = elapsed >= MAX_WARM_UP_SECONDS, fastest >= STEADY_RATIO * fastest_before
            if is_over or is_steady:
                self._busy_threads = busy_threads(before, read_cpu_times(), elapsed)
                is_warm = is_steady and self._is_alone()
        self.connection.send(
            event="warmed_up",
            seconds_per_call=fastest,
            threads=len(self._busy_threads),
            on_device=uses_device(),
        )

    def _take_turn(self, workload: BenchmarkCall, message: Message) -> None:
        calls = int(message["calls"])
        self._heap.randomize()
        self._pins.pin(self._busy_threads, message["cores"])  # the same for all turns
        clock = AgentStageClock()
        with TurnWaits(self._busy_threads) as waits:
            subtracted = waits.clocks[0] if self._is_correctable(workload) else None
            for _ in range(int(message["settle_rounds"])):
                workload.sample(calls)
            with listening_to_stages(clock):
                samples = _samples_for(workload, calls, float(message["seconds"]), subtracted)
            # Threads without a core for each wait for one another, which is part of what the call does.
            is_distorted = subtracted is None and message["cores"] and workload.timer in WALL_CLOCKS
            waited_share = waits.longest_share() if is_distorted else 0.0
        if message["wait_until_idle"]:
            wait_until_idle(self._busy_threads, message["idle_wait_seconds"])
        calls_made = len(samples) * workload.calls_per_sample(calls)
        self._samples += samples
        ordered = sorted(samples)
        self.connection.send(
            event="turn_ended",
            median=_quantile(ordered, 0.5),
            low=_quantile(ordered, 0.2),
            seconds_by_stage={stage: seconds / calls_made for stage, seconds in clock.seconds.items()},
            waited_share=waited_share,
        )

    def _is_alone(self) -> bool:
        """Whether the thread that makes the calls does all of their work."""
        return len(self._busy_threads) == 1 and not uses_device()

    def _is_correctable(self, workload: BenchmarkCall) -> bool:
        """Whether a call lasts exactly as much longer as its thread waits for a core."""
        return self._is_alone() and workload.timer in WALL_CLOCKS

    def _call(self, workload: BenchmarkCall, message: Message) -> None:
        _call_repeatedly(workload)
        self.connection.send(event="called")

    def _count(self, workload: BenchmarkCall, message: Message) -> None:
        if self.is_recorded:
            _call_repeatedly(workload)
        try:
            count = load_counter()
        except ImportError as error:
            self.connection.send(event="counted", counts=[], missing=str(error))
            return
        # Compilation happens at the first call, long before this one.
        compiled = {
            name: number - self.compile_counts_before.get(name, 0)
            for name, number in torch_compile_counts().items()
        }
        (first, missing), (second, _) = count(workload.call_once), count(workload.call_once)
        counts = [{**first, **compiled}, {**second, **compiled}]
        self.connection.send(event="counted", counts=counts, missing=missing)


def _call_repeatedly(workload: BenchmarkCall) -> None:
    """Make calls for a recording, the first of them without torch.compile, which hides what runs."""
    call_without_compiling(workload.call_once)
    end = time.perf_counter() + RECORDED_SECONDS
    for _ in range(MAX_RECORDED_CALLS):
        if time.perf_counter() > end:
            break
        workload.call_once()


def _fastest_sample(workload: BenchmarkCall, seconds: float) -> float:
    """The fastest of the samples of one call that begin within so many seconds."""
    end = time.perf_counter() + seconds
    fastest = workload.sample(1)
    while time.perf_counter() < end:
        fastest = min(fastest, workload.sample(1))
    return fastest


def _samples_for(
    workload: BenchmarkCall, calls: int, seconds: float, waits: RunDelayClock | None
) -> list[float]:
    """Samples that together come as close to `seconds` of work as whole samples can."""
    samples: list[float] = []
    worked = latest = 0.0
    begin = time.perf_counter()
    while not samples or (
        worked + latest / 2 < seconds and time.perf_counter() - begin < MAX_TURN_STRETCH * seconds
    ):
        samples.append(workload.sample(calls, waits))
        latest = samples[-1] * workload.calls_per_sample(calls)
        worked += latest
    return samples


def _quantile(ordered: list[float], share: float) -> float:
    position = share * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])
