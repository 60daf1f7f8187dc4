"""The augmentation kernels against torch, torchvision and kornia."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.gpu_proof.stage import Row, Stage, StageContext


def run(context: StageContext) -> Iterator[Row]:
    seconds = "0.2" if context.is_rehearsal else "3"
    yield from context.pytest(
        "benchmarks/test_augment.py", f"--perf-max-time={seconds}", "--benchmark-max-time=0.1"
    )


STAGE = Stage(order=7, name="augmentation", title="Augmentation", limit_seconds=40, run=run)
