"""The most memory that a call held: host (the whole process tree) and CUDA device."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import psutil

from perfsuite.measure.clock import Call
from perfsuite.measure.measurement import MemoryPeaks

_SECONDS_BETWEEN_READINGS = 0.02


def measure_peak_memory(call: Call) -> MemoryPeaks:
    """Run the call once and say what the process tree and the device held at most.

    Shared pages count once (PSS), so eight workers that share a cache are not charged for it eight
    times. What lives for less than 20 ms in a child process can be missed.
    """
    cuda = _active_cuda()
    if cuda is not None:
        cuda.synchronize()
        cuda.reset_peak_memory_stats()
    with _ProcessTreeMonitor() as watch:
        call()
    if cuda is None:
        return MemoryPeaks(watch.peak_bytes, watch.peak_bytes - watch.first_bytes)
    cuda.synchronize()
    return MemoryPeaks(
        watch.peak_bytes,
        watch.peak_bytes - watch.first_bytes,
        int(cuda.max_memory_allocated()),
        int(cuda.max_memory_reserved()),
    )


def process_tree_bytes() -> int:
    """What this process and all below it hold now, shared pages counted once where the system tells."""
    total = 0
    for process in (own := psutil.Process(), *own.children(recursive=True)):
        try:
            total += _process_bytes(process)
        except (psutil.Error, OSError):
            continue  # it ended between being listed and being asked
    return total


def _process_bytes(process: psutil.Process) -> int:
    try:
        rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        return next(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return int(process.memory_info().rss)


class _ProcessTreeMonitor:
    """Looks at the process tree from a thread of its own, and once more at the end."""

    def __init__(self) -> None:
        self.first_bytes = self.peak_bytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._poll_until_stopped, name="perfsuite-memory", daemon=True)

    def __enter__(self) -> _ProcessTreeMonitor:
        self.first_bytes = self.peak_bytes = process_tree_bytes()
        self._own_before = _own_status_bytes("VmRSS:") if _reset_own_peak() else None
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._poll()
        if self._own_before is not None:
            # Spikes between two looks: exact for this process, a lower bound for the tree. As growth,
            # since the kernel's peak counts pages shared with strangers in full.
            grown = _own_status_bytes("VmHWM:") - self._own_before
            self.peak_bytes = max(self.peak_bytes, self.first_bytes + grown)

    def _poll_until_stopped(self) -> None:
        while not self._done.wait(_SECONDS_BETWEEN_READINGS):
            self._poll()

    def _poll(self) -> None:
        self.peak_bytes = max(self.peak_bytes, process_tree_bytes())


def _reset_own_peak() -> bool:
    """Linux lets a process begin its own high-water mark anew."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _own_status_bytes(field: str) -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(field))


def _active_cuda() -> Any | None:
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None
