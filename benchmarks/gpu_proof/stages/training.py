"""ResNet-50 and the CIFAR-size model: eager and combined presets, memory."""

from __future__ import annotations

from benchmarks.gpu_proof.stage import benchmark_stage

STAGE = benchmark_stage(
    order=4,
    name="training",
    title="Training step",
    limit_seconds=100,
    file="benchmarks/test_training.py",
    seconds=6,
)
