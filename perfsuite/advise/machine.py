"""Facts about this machine that loading depends on, and what they mean for workers."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psutil

from perfsuite.cores import usable_cores

SHARED_MEMORY_FOLDER = "/dev/shm"  # noqa: S108 - read for its size only
SAFE_MEMORY_FRACTION = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFacts:
    """What matters for workers."""

    platform: str  # as sys.platform
    cores: int  # that this process may use
    available_bytes: int
    start_method: str  # of multiprocessing: fork, forkserver or spawn
    shared_memory_bytes: int | None = None  # free; None where the system has no such folder


@dataclass(frozen=True, slots=True)
class WorkerDemand:
    """What a loader setting asks of the machine."""

    num_workers: int
    uses_processes: bool
    bytes_ahead: int
    peak_growth_bytes: int


def describe_machine() -> MachineFacts:
    has_shared_memory = os.path.isdir(SHARED_MEMORY_FOLDER)  # noqa: PTH112
    return MachineFacts(
        platform=sys.platform,
        cores=usable_cores(),
        available_bytes=psutil.virtual_memory().available,
        start_method=multiprocessing.get_start_method(),
        shared_memory_bytes=shutil.disk_usage(SHARED_MEMORY_FOLDER).free if has_shared_memory else None,
    )


def platform_advice(machine: MachineFacts, demand: WorkerDemand) -> Iterator[str]:
    """What to do on this platform with such workers; nothing where nothing applies."""
    if not demand.num_workers:
        return
    if demand.uses_processes:
        yield from _process_advice(machine, demand)
    if demand.num_workers > machine.cores:
        yield (
            f"{demand.num_workers} workers share {machine.cores} cores: this pays off only where they wait "
            "for "
            "files"
        )
    if demand.peak_growth_bytes > SAFE_MEMORY_FRACTION * machine.available_bytes:
        yield (
            "memory is nearly used up: lower num_workers, prefetch_factor or batch_size before a worker is "
            "killed"
        )


def _process_advice(machine: MachineFacts, demand: WorkerDemand) -> Iterator[str]:
    if machine.platform in ("win32", "darwin") or machine.start_method == "spawn":
        yield (
            "worker processes start by spawn here, in seconds: keep persistent_workers=True, put the "
            "script's "
            "work under if __name__ == '__main__', and keep the data set picklable"
        )
    elif machine.start_method == "fork":
        yield (
            "worker processes are forked here: where they hang, or CUDA is in use before they start, set "
            "start_method='forkserver' (multiprocessing_context= of a DataLoader)"
        )
    shared = machine.shared_memory_bytes
    if shared is not None and demand.bytes_ahead > SAFE_MEMORY_FRACTION * shared:
        yield (
            "batches that are loaded ahead nearly fill /dev/shm, and a worker that finds it full dies: "
            "make it "
            "larger (docker: --shm-size), or lower prefetch_factor"
        )


def failure_advice(failures: Mapping[str, str]) -> Iterator[str]:
    """A way out for settings whose workers died or whose memory ended."""
    for setting, reason in failures.items():
        yield (
            f"{setting} failed and is left out ({reason}): lower num_workers, prefetch_factor or batch_size, "
            "or make /dev/shm larger"
        )
