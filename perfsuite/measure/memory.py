"""The most memory that a call held: host (the whole process tree) and CUDA device."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import psutil

from perfsuite.measure.clock import Call
from perfsuite.measure.measurement import Memory

_SECONDS_BETWEEN_LOOKS = 0.02


def peak_memory(call: Call) -> Memory:
    """Run the call once and say what the process tree and the device held at most.

    Shared pages count once (PSS), so eight workers that share a cache are not charged for it eight
    times. What lives for less than 20 ms in a child process can be missed.
    """
    cuda = _cuda_in_use()
    if cuda is not None:
        cuda.synchronize()
        cuda.reset_peak_memory_stats()
    with _TreeWatch() as watch:
        call()
    if cuda is None:
        return Memory(watch.peak_bytes, watch.peak_bytes - watch.first_bytes)
    cuda.synchronize()
    return Memory(
        watch.peak_bytes,
        watch.peak_bytes - watch.first_bytes,
        int(cuda.max_memory_allocated()),
        int(cuda.max_memory_reserved()),
    )


def tree_bytes() -> int:
    """What this process and all below it hold now, shared pages counted once where the system tells."""
    total = 0
    for process in (own := psutil.Process(), *own.children(recursive=True)):
        try:
            total += _bytes_of(process)
        except (psutil.Error, OSError):
            continue  # it ended between being listed and being asked
    return total


def _bytes_of(process: psutil.Process) -> int:
    try:
        rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        return next(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return int(process.memory_info().rss)


class _TreeWatch:
    """Looks at the process tree from a thread of its own, and once more at the end."""

    def __init__(self) -> None:
        self.first_bytes = self.peak_bytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="perfsuite-memory", daemon=True)

    def __enter__(self) -> _TreeWatch:
        self.first_bytes = self.peak_bytes = tree_bytes()
        self._own_before = _own_status("VmRSS:") if _reset_own_peak() else None
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._look()
        if self._own_before is not None:
            # Spikes between two looks: exact for this process, a lower bound for the tree. As growth,
            # since the kernel's peak counts pages shared with strangers in full.
            grown = _own_status("VmHWM:") - self._own_before
            self.peak_bytes = max(self.peak_bytes, self.first_bytes + grown)

    def _look_on(self) -> None:
        while not self._done.wait(_SECONDS_BETWEEN_LOOKS):
            self._look()

    def _look(self) -> None:
        self.peak_bytes = max(self.peak_bytes, tree_bytes())


def _reset_own_peak() -> bool:
    """Linux lets a process begin its own high-water mark anew."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _own_status(field: str) -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(field))


def _cuda_in_use() -> Any | None:
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None
