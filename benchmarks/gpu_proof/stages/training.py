"""ResNet-50 and the CIFAR-size model: eager and combined presets, memory."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.gpu_proof.stage import Row, Stage, StageContext


def run(context: StageContext) -> Iterator[Row]:
    seconds = "0.2" if context.is_rehearsal else "6"
    yield from context.pytest(
        "benchmarks/test_training.py", f"--perf-max-time={seconds}", "--benchmark-max-time=0.1"
    )


STAGE = Stage(order=4, name="training", title="Training step", limit_seconds=100, run=run)
