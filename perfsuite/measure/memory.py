"""Peak memory while a call runs: host (the whole process tree) and CUDA device."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

from perfsuite.measure.clock import Call
from perfsuite.measure.measurement import MemoryPeaks
from perfsuite.measure.polling import PollingThread

_SECONDS_BETWEEN_READINGS = 0.02


def measure_peak_memory(call: Call) -> MemoryPeaks:
    """Run the call once and return the peaks of the process tree and of the device.

    Shared pages count once (PSS), so a cache shared by eight workers is not counted eight times. A peak that
    lasts less than 20 ms in a child process can be missed.
    """
    cuda = _active_cuda()
    if cuda is not None:
        cuda.synchronize()
        cuda.reset_peak_memory_stats()
    with _ProcessTreeMonitor() as monitor:
        call()
    growth = monitor.peak_bytes - monitor.first_bytes
    if cuda is None:
        return MemoryPeaks(monitor.peak_bytes, growth)
    cuda.synchronize()
    return MemoryPeaks(
        peak_pss_bytes=monitor.peak_bytes,
        peak_growth_bytes=growth,
        peak_cuda_allocated_bytes=int(cuda.max_memory_allocated()),
        peak_cuda_reserved_bytes=int(cuda.max_memory_reserved()),
    )


def cuda_peak_bytes() -> int | None:
    """Return the most memory that torch has allocated on the device so far; None without CUDA in use."""
    cuda = _active_cuda()
    return None if cuda is None else int(cuda.max_memory_allocated())


def process_tree_bytes() -> int:
    """Memory of this process and all its descendants, shared pages counted once where the system can."""
    own = psutil.Process()
    return bytes_of_processes([own, *own.children(recursive=True)])


def bytes_of_processes(processes: Iterable[psutil.Process]) -> int:
    """Memory of these processes; one that has ended counts nothing."""
    total = 0
    for process in processes:
        try:
            total += _process_bytes(process)
        except (psutil.Error, OSError):
            continue  # it ended after it was listed
    return total


def _process_bytes(process: psutil.Process) -> int:
    """PSS on Linux, USS where the system has no PSS, RSS where neither may be read."""
    try:
        memory = process.memory_full_info()
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    return int(getattr(memory, "pss", None) or getattr(memory, "uss", None) or memory.rss)


class _ProcessTreeMonitor:
    """Reads the process tree in a thread while its block runs, and once more at the end."""

    def __init__(self) -> None:
        self.first_bytes = self.peak_bytes = 0
        self._thread = PollingThread(self._poll, _SECONDS_BETWEEN_READINGS, "perfsuite-memory")

    def __enter__(self) -> _ProcessTreeMonitor:
        self.first_bytes = self.peak_bytes = process_tree_bytes()
        self._own_before = _own_status_bytes("VmRSS:") if _reset_own_peak() else None
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.stop()
        if self._own_before is not None:
            # The kernel's peak has no gaps: exact for this process, a lower bound for the tree. Its growth is
            # used, since it counts pages shared with unrelated processes in full.
            growth = _own_status_bytes("VmHWM:") - self._own_before
            self.peak_bytes = max(self.peak_bytes, self.first_bytes + growth)

    def _poll(self) -> None:
        self.peak_bytes = max(self.peak_bytes, process_tree_bytes())


def _reset_own_peak() -> bool:
    """Reset this process's peak RSS (VmHWM), which only Linux supports. psutil cannot."""
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
