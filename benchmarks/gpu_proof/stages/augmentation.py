"""The augmentation kernels against torch, torchvision and kornia."""

from __future__ import annotations

from benchmarks.gpu_proof.stage import benchmark_stage

STAGE = benchmark_stage(
    order=7,
    name="augmentation",
    title="Augmentation",
    limit_seconds=40,
    file="benchmarks/test_augment.py",
    seconds=3,
)
