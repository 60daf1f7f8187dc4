"""Work of a call that its counters cannot see: in other processes, and in other threads.

On Linux a process or thread that was alive before the call counts as working if the kernel gave it any CPU
time during the call. Elsewhere, and for those that started or ended meanwhile, its presence is enough.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import active_children, resource_tracker
from pathlib import Path
from typing import Any

from perfsuite.measure.counters.audit_events import listen_to_audit_events

_PROCESS_EVENTS = {"os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen"}

CpuNanoseconds = Mapping[int, int | None]  # by process or thread; None if the kernel does not say


@dataclass(slots=True)
class UnseenWork:
    """Why counters may be too small; empty texts where nothing worked elsewhere."""

    in_processes: str = ""
    in_threads: str = ""


@dataclass(slots=True)
class _StartedWork:
    """What the call started, ended or not."""

    processes: int = 0
    threads: int = 0

    def on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _PROCESS_EVENTS:
            self.processes += 1

    @contextmanager
    def count_threads(self) -> Iterator[None]:
        """Count the threads that start in the block; Python 3.11 has no audit event for them."""
        original = threading.Thread.start

        def counted_start(thread: threading.Thread) -> None:
            self.threads += 1
            original(thread)

        threading.Thread.start = counted_start  # type: ignore[assignment,method-assign]
        try:
            yield
        finally:
            threading.Thread.start = original  # type: ignore[method-assign]


@dataclass(frozen=True, slots=True)
class _CpuTimes:
    processes: CpuNanoseconds = field(default_factory=dict)
    threads: CpuNanoseconds = field(default_factory=dict)

    @classmethod
    def read(cls) -> _CpuTimes:
        caller = threading.get_native_id()
        threads = (thread.native_id for thread in threading.enumerate())
        return cls(
            processes={pid: _cpu_nanoseconds(Path(f"/proc/{pid}/task")) for pid in _children()},
            threads={
                task: _schedstat(Path(f"/proc/self/task/{task}"))
                for task in threads
                if task is not None and task != caller
            },
        )


@contextmanager
def watch_unseen_work() -> Iterator[UnseenWork]:
    """Fill in, at the end of the block, what worked elsewhere while it ran."""
    unseen, started, before = UnseenWork(), _StartedWork(), _CpuTimes.read()
    with listen_to_audit_events(started.on_event), started.count_threads():
        yield unseen
    after = _CpuTimes.read()
    processes = max(started.processes, _count_working(before.processes, after.processes))
    threads = max(started.threads, _count_working(before.threads, after.threads))
    if processes:
        unseen.in_processes = _reason("processes", processes)
    if threads:
        unseen.in_threads = _reason("threads", threads)


def _reason(kind: str, number: int) -> str:
    return f"work in other {kind} is not counted ({number} worked during the call)"


def _count_working(before: CpuNanoseconds, after: CpuNanoseconds) -> int:
    """How many worked: those whose CPU time grew or is unknown, and those that started or ended meanwhile."""
    return sum(
        before.get(number) is None or before.get(number) != after.get(number)
        for number in before.keys() | after.keys()
    )


def _children() -> list[int]:
    """The descendants of this process, without the one that only tracks shared memory."""
    tracker = getattr(resource_tracker, "_resource_tracker", None)
    tracker_pid = getattr(tracker, "_pid", None)
    return [pid for pid in _descendants("self") if pid != tracker_pid]


def _descendants(process: str) -> Iterator[int]:
    """All descendants on Linux, elsewhere what multiprocessing started. A gated project may lack psutil."""
    try:
        lists = [(task / "children").read_text() for task in Path(f"/proc/{process}/task").iterdir()]
    except OSError:
        if process == "self":
            yield from (child.pid for child in active_children() if child.pid is not None)
        return
    for pid in " ".join(lists).split():
        yield int(pid)
        yield from _descendants(pid)


def _cpu_nanoseconds(tasks: Path) -> int | None:
    try:
        times = [_schedstat(task) for task in tasks.iterdir()]
    except OSError:
        return None
    return None if None in times else sum(time or 0 for time in times)


def _schedstat(task: Path) -> int | None:
    try:
        return int((task / "schedstat").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
