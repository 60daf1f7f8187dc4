"""The working end of one arm: samples of a workload, taken only while the gate's token is held.

Like plugin, it is copied onto the arm's path, where there may be nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from perfsuite.gate.agent.randomize import (
    HeapRandomizer,
    busy_threads,
    pinned_to_cores,
    read_cpu_times,
    wait_until_idle,
)

WARM_UP_SECONDS = 0.05
MAX_TURN_STRETCH = 4.0  # a pedantic setup may make a turn this many times longer than asked
PR_SET_PDEATHSIG = 1

Message = dict[str, Any]


class GateConnection:
    """The socket to the gate: one JSON object a line, and blocked in read (not spinning) while waiting."""

    def __init__(self, number: int) -> None:
        os.set_inheritable(number, False)
        self._socket = socket.socket(fileno=number)
        self._reader = self._socket.makefile("rb")

    def send(self, **words: Any) -> None:
        try:
            self._socket.sendall(json.dumps(words).encode() + b"\n")
        except OSError:
            _exit_without_gate()

    def receive(self) -> Message:
        said = self._reader.readline()
        if not said:
            _exit_without_gate()
        heard: Message = json.loads(said)
        return heard


def _exit_without_gate() -> None:
    # The gate is gone: nobody reads what this process could still say, and it must not linger.
    os._exit(75)


def set_parent_death_signal() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class BenchmarkCall:
    """One call of a test, in samples: `calls` calls between two clock readings, after `prepare`."""

    def __init__(
        self,
        call: Callable[..., Any],
        prepare: Callable[[], tuple[Any, Any]] | None = None,
        tidy: Callable[..., Any] | None = None,
        iterations: int = 1,
        timer: Callable[[], float] = time.perf_counter,
        without_gc: bool = False,
    ) -> None:
        self.call, self.setup, self.tidy = call, prepare, tidy
        self.iterations, self.timer, self.without_gc = iterations, timer, without_gc
        self.repeatable = prepare is None and tidy is None

    def sample(self, calls: int) -> float:
        """Seconds per call; the device has finished before either clock reading."""
        args, kwargs = self.setup() if self.setup else ((), {})
        loops = range(calls if self.repeatable else self.iterations)
        call, timer, collecting = self.call, self.timer, gc.isenabled()
        if self.without_gc:
            gc.disable()
        try:
            _synchronize_device()
            begin = timer()
            for _ in loops:
                call(*args, **kwargs)
            _synchronize_device()
            end = timer()
        finally:
            if collecting:
                gc.enable()
        if self.tidy is not None:
            self.tidy(*args, **kwargs)
        return (end - begin) / len(loops)

    def call_once(self) -> None:
        """What is counted: one call with its setup."""
        args, kwargs = self.setup() if self.setup else ((), {})
        self.call(*args, **kwargs)
        if self.tidy is not None:
            self.tidy(*args, **kwargs)


def _synchronize_device() -> None:
    if _uses_device():
        sys.modules["torch"].cuda.synchronize()


def _uses_device() -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_initialized())


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


class AgentStageClock:
    """Seconds by stage, each without the stages inside it, over all threads."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._open = threading.local()

    def begin(self, stage: str) -> None:
        stack = self._open.__dict__.setdefault("stack", [])
        stack.append([time.perf_counter(), 0.0])

    def end(self, stage: str) -> None:
        stack = self._open.__dict__.get("stack")
        if not stack:
            return
        begin, inside = stack.pop()
        whole = time.perf_counter() - begin
        self.seconds[stage] += whole - inside
        if stack:
            stack[-1][1] += whole

    def count_event(self, what: str, count: int) -> None:
        """Counted things are counted in calls of their own."""


@contextmanager
def _attached_stage_clock() -> Iterator[AgentStageClock | None]:
    stages = sys.modules.get("perfsuite.stages")
    if stages is None:
        yield None
        return
    clock = AgentStageClock()
    with stages.listening(clock):
        yield clock


class AgentWorker:
    """Answers the gate for one workload until it is let go."""

    def __init__(self, line: GateConnection) -> None:
        self.connection = line
        self.heap = HeapRandomizer()
        self.taken: list[float] = []
        self.threads: list[int] = []  # native ids of those that work in a call
        self.compiled_before: dict[str, int] = {}

    def serve(self, node: str, name: str, workload: BenchmarkCall, items: float = 1.0) -> list[float]:
        """Block until the gate is done with this workload; the seconds per call of all samples."""
        self.taken = []
        self.heap.fill_holes()
        with _tracing_disabled():
            workload.sample(1)  # imports, compilation and first touches, while nobody is timed
            gc.collect()
            self.connection.send(say="at", node=node, name=name, items=items)
            while (word := self.connection.receive())["do"] != "go":
                getattr(self, "_" + word["do"])(workload, word)
        return self.taken

    def _warm_up(self, workload: BenchmarkCall, word: Message) -> None:
        begin, before = time.perf_counter(), read_cpu_times()
        until = begin + WARM_UP_SECONDS
        fastest = workload.sample(1)
        while time.perf_counter() < until:
            fastest = min(fastest, workload.sample(1))
        self.threads = busy_threads(before, read_cpu_times(), time.perf_counter() - begin)
        self.connection.send(
            say="warm", seconds_per_call=fastest, threads=len(self.threads), on_device=_uses_device()
        )

    def _take_turn(self, workload: BenchmarkCall, word: Message) -> None:
        seconds, calls = float(word["seconds"]), int(word["calls"])
        samples: list[float] = []
        worked = latest = 0.0
        self.heap.randomize()
        with pinned_to_cores(self.threads, word["cores"]):
            for _ in range(int(word["settle"])):
                workload.sample(calls)
            begin = time.perf_counter()
            with _attached_stage_clock() as clock:
                # As near to `seconds` as whole samples come.
                while not samples or (
                    worked + latest / 2 < seconds and time.perf_counter() - begin < MAX_TURN_STRETCH * seconds
                ):
                    samples.append(workload.sample(calls))
                    latest = samples[-1] * (calls if workload.repeatable else workload.iterations)
                    worked += latest
        if word["last"]:
            wait_until_idle(self.threads, word["rest"])
        done = len(samples) * (calls if workload.repeatable else workload.iterations)
        stages = {name: seconds / done for name, seconds in clock.seconds.items()} if clock else {}
        self.taken += samples
        samples.sort()
        self.connection.send(
            say="turn", median=_quantile(samples, 0.5), low=_quantile(samples, 0.2), stages=stages
        )

    def _count(self, workload: BenchmarkCall, word: Message) -> None:
        try:
            counters = importlib.import_module("perfsuite.measure.counters.registry")
        except ImportError as error:
            self.connection.send(say="counted", counts=[], lacking=str(error))
            return
        # Compiling happens at the first call, long before this one.
        since = {name: n - self.compiled_before.get(name, 0) for name, n in torch_compile_counts().items()}
        counts = [{**counters.count(workload.call_once), **since} for _ in range(2)]
        self.connection.send(say="counted", counts=counts)


def _quantile(ordered: list[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def torch_compile_counts() -> dict[str, int]:
    """What torch.compile has done in this process so far."""
    if "torch._dynamo" not in sys.modules:
        return {}
    told: dict[str, int] = importlib.import_module("perfsuite.measure.counters.torch_operators").compiling()
    return told
