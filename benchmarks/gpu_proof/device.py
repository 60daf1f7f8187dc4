"""The device of the GPU benchmarks."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.gpu_proof.stage import is_rehearsal


@dataclass(frozen=True, slots=True)
class GpuDevice:
    """A CUDA device; in a rehearsal the CPU, with small sizes."""

    name: str

    def size(self, full: int, rehearsal: int) -> int:
        return rehearsal if self.name == "cpu" else full


def gpu_device() -> GpuDevice:
    return GpuDevice("cpu" if is_rehearsal() else "cuda")
