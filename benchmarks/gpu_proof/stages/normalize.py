"""Normalization against copying, timm's prefetcher arithmetic and torchvision."""

from __future__ import annotations

from benchmarks.gpu_proof.stage import benchmark_stage

STAGE = benchmark_stage(
    order=3,
    name="normalize",
    title="Normalization",
    limit_seconds=40,
    file="benchmarks/test_normalize.py",
    seconds=4,
)
