"""The working end of one arm: samples of a workload, taken only while the gate's token is held.

Like arm_plugin, it is copied onto the arm's path and needs nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import random
import signal
import socket
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WARM_UP_SECONDS = 0.05
PLUGS, BETWEEN = 1000, 32  # blocks
MOST_REST_SECONDS = 0.05
IDLE = 0.1  # of a core: below it a thread has no part in the work
MOST_SETUP_PER_TURN = 4.0  # a pedantic setup may make a turn this many times longer than asked
PR_SET_PDEATHSIG = 1
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3

Say = dict[str, Any]


class Line:
    """The socket to the gate: one JSON object a line, and blocked in read (not spinning) while waiting."""

    def __init__(self, number: int) -> None:
        os.set_inheritable(number, False)
        self._socket = socket.socket(fileno=number)
        self._reader = self._socket.makefile("rb")

    def tell(self, **words: Any) -> None:
        try:
            self._socket.sendall(json.dumps(words).encode() + b"\n")
        except OSError:
            _leave()

    def hear(self) -> Say:
        said = self._reader.readline()
        if not said:
            _leave()
        heard: Say = json.loads(said)
        return heard


def _leave() -> None:
    # The gate is gone: nobody reads what this process could still say, and it must not linger.
    os._exit(75)


def die_with_the_gate() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def keep_memory() -> None:
    """Let glibc keep what was freed. Else it is luck for a process's life whether each call gives the top of
    its heap back and has the kernel clear it again: seen to cost 10 to 40 % of a normalisation."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 32 << 20)  # the largest that it takes
        mallopt(M_TRIM_THRESHOLD, 1 << 30)


class Workload:
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
        self.call, self.prepare, self.tidy = call, prepare, tidy
        self.iterations, self.timer, self.without_gc = iterations, timer, without_gc
        self.repeatable = prepare is None and tidy is None

    def sample(self, calls: int) -> float:
        """Seconds per call; the device has finished before either clock reading."""
        args, kwargs = self.prepare() if self.prepare else ((), {})
        loops = range(calls if self.repeatable else self.iterations)
        call, timer, collecting = self.call, self.timer, gc.isenabled()
        if self.without_gc:
            gc.disable()
        try:
            _finish_device()
            begin = timer()
            for _ in loops:
                call(*args, **kwargs)
            _finish_device()
            end = timer()
        finally:
            if collecting:
                gc.enable()
        if self.tidy is not None:
            self.tidy(*args, **kwargs)
        return (end - begin) / len(loops)

    def once(self) -> None:
        """What is counted: one call with its setup."""
        args, kwargs = self.prepare() if self.prepare else ((), {})
        self.call(*args, **kwargs)
        if self.tidy is not None:
            self.tidy(*args, **kwargs)


def _finish_device() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def _spent() -> dict[int, float] | None:
    """Seconds of work by thread; None where the kernel does not say, or other processes do a part of it."""
    children = os.times()
    seconds = {0: children.children_user + children.children_system, -1: time.process_time()}
    try:
        for task in Path("/proc/self/task").iterdir():
            if (task / "children").read_text().strip():
                return None
            seconds[int(task.name)] = int((task / "schedstat").read_text().split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        return None
    return seconds


def _busy(before: dict[int, float] | None, after: dict[int, float] | None, elapsed: float) -> list[int]:
    """The threads that do the work, the caller first; none where it cannot be said of each who they are."""
    if before is None or after is None or before[0] != after[0]:
        return []
    worked = {task: seconds - before.get(task, 0.0) for task, seconds in after.items() if task > 0}
    passing = after[-1] - before[-1] - sum(worked.values())
    if passing > IDLE * elapsed:
        return []  # done by threads that came and went
    me = threading.get_native_id()
    return [
        me,
        *(task for task, seconds in sorted(worked.items()) if seconds > IDLE * elapsed and task != me),
    ]


@contextmanager
def _on_cores(threads: list[int], cores: list[int]) -> Iterator[None]:
    """Each busy thread stays on a core of its own, the one that its like on the other side works on too."""
    before = {task: os.sched_getaffinity(task) for task, _ in zip(threads, cores, strict=False)}
    try:
        for task, core in zip(threads, cores, strict=False):
            os.sched_setaffinity(task, {core})
        yield
    finally:
        for task, allowed in before.items():
            os.sched_setaffinity(task, allowed)


def _rest(threads: list[int]) -> None:
    """Wait until the threads that work for this one sleep: OpenMP's spin for milliseconds after it."""
    until = time.perf_counter() + MOST_REST_SECONDS
    while time.perf_counter() < until and any(_runs(task) for task in threads):
        time.sleep(0.0002)


def _runs(task: int) -> bool:
    try:
        return Path(f"/proc/self/task/{task}/stat").read_text().rpartition(")")[2].split()[0] == "R"
    except OSError:
        return False


@contextmanager
def _untraced() -> Iterator[None]:
    tracer, profiler = sys.gettrace(), sys.getprofile()
    sys.settrace(None)
    sys.setprofile(None)
    try:
        yield
    finally:
        sys.settrace(tracer)
        sys.setprofile(profiler)


class StageClock:
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

    def tell(self, what: str, count: int) -> None:
        """Counted things are counted in calls of their own."""


@contextmanager
def _stages_heard() -> Iterator[StageClock | None]:
    stages = sys.modules.get("perfsuite.stages")
    if stages is None:
        yield None
        return
    clock = StageClock()
    with stages.listening(clock):
        yield clock


class Heap:
    """Moves what malloc gives out next: a decoder can be 20 % faster or slower by where its buffers lie."""

    def __init__(self) -> None:
        self._chance = random.Random()
        self._plugs: list[int] = []
        self._between: list[int] = []
        library = ctypes.CDLL(None)
        self._take, self._free = library.malloc, library.free
        self._take.restype, self._take.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
        self._free.restype, self._free.argtypes = None, [ctypes.c_void_p]

    def plug(self) -> None:
        """Fill the holes of this process's history, which malloc would give out again and again."""
        self._plugs = self._renewed(self._plugs, PLUGS, 10, 17)

    def shake(self) -> None:
        self._between = self._renewed(self._between, BETWEEN, 5, 20)

    def _renewed(self, blocks: list[int], number: int, low: float, high: float) -> list[int]:
        for place in blocks:
            self._free(place)
        # Never written to, so that neither memory nor caches are used up.
        return [self._take(int(2 ** self._chance.uniform(low, high))) for _ in range(number)]


class Server:
    """Answers the gate for one workload until it is let go."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.heap = Heap()
        self.taken: list[float] = []
        self.threads: list[int] = []  # native ids of those that work in a call
        self.compiled_before: dict[str, int] = {}

    def serve(self, node: str, name: str, workload: Workload, items: float = 1.0) -> list[float]:
        """Block until the gate is done with this workload; the seconds per call of all samples."""
        self.taken = []
        self.heap.plug()
        with _untraced():
            workload.sample(1)  # imports, compilation and first touches, while nobody is timed
            gc.collect()
            self.line.tell(say="at", node=node, name=name, items=items)
            while (word := self.line.hear())["do"] != "go":
                getattr(self, "_" + word["do"])(workload, word)
        return self.taken

    def _warm(self, workload: Workload, word: Say) -> None:
        begin, before = time.perf_counter(), _spent()
        until = begin + WARM_UP_SECONDS
        fastest = workload.sample(1)
        while time.perf_counter() < until:
            fastest = min(fastest, workload.sample(1))
        self.threads = _busy(before, _spent(), time.perf_counter() - begin)
        self.line.tell(say="warm", seconds_per_call=fastest, threads=len(self.threads))

    def _turn(self, workload: Workload, word: Say) -> None:
        seconds, calls = float(word["seconds"]), int(word["calls"])
        samples: list[float] = []
        worked = 0.0
        self.heap.shake()
        with _on_cores(self.threads, word["cores"]):
            for _ in range(int(word["settle"])):
                workload.sample(calls)
            begin = time.perf_counter()
            with _stages_heard() as clock:
                while not samples or (
                    worked < seconds and time.perf_counter() - begin < MOST_SETUP_PER_TURN * seconds
                ):
                    samples.append(workload.sample(calls))
                    worked += samples[-1] * (calls if workload.repeatable else workload.iterations)
        _rest(self.threads[1:])
        done = len(samples) * (calls if workload.repeatable else workload.iterations)
        stages = {name: spent / done for name, spent in clock.seconds.items()} if clock else {}
        self.taken += samples
        samples.sort()
        self.line.tell(say="turn", median=_quantile(samples, 0.5), low=_quantile(samples, 0.2), stages=stages)

    def _count(self, workload: Workload, word: Say) -> None:
        try:
            counters = importlib.import_module("perfsuite.measure.counters")
        except ImportError as error:
            self.line.tell(say="counted", counts=[], lacking=str(error))
            return
        # Compiling happens at the first call, long before this one.
        since = {name: n - self.compiled_before.get(name, 0) for name, n in compiled().items()}
        counts = [{**counters.count(workload.once), **since} for _ in range(2)]
        self.line.tell(say="counted", counts=counts)


def _quantile(ordered: list[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def compiled() -> dict[str, int]:
    """What torch.compile has done in this process so far."""
    if "torch._dynamo" not in sys.modules:
        return {}
    told: dict[str, int] = importlib.import_module("perfsuite.measure.torch_counters").compiling()
    return told
