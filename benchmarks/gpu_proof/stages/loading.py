"""The loader that feeds the step, and decoding on the GPU against DALI."""

from __future__ import annotations

from benchmarks.gpu_proof.stage import benchmark_stage

STAGE = benchmark_stage(
    order=5,
    name="loading",
    title="Loading",
    limit_seconds=50,
    file="benchmarks/test_peers.py",
    seconds=5,
)
