"""The device of the GPU benchmarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from benchmarks.gpu_proof.stage import is_rehearsal

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GpuDevice:
    """A CUDA device; in a rehearsal the CPU, with small sizes and models."""

    name: str

    def choose(self, full: T, rehearsal: T) -> T:
        return rehearsal if self.name == "cpu" else full


def gpu_device() -> GpuDevice:
    return GpuDevice("cpu" if is_rehearsal() else "cuda")
