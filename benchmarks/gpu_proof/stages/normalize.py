"""Normalization against copying, timm's prefetcher arithmetic and torchvision."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.gpu_proof.stage import Row, Stage, StageContext


def run(context: StageContext) -> Iterator[Row]:
    seconds = "0.2" if context.is_rehearsal else "4"
    yield from context.pytest(
        "benchmarks/test_normalize.py", f"--perf-max-time={seconds}", "--benchmark-max-time=0.1"
    )


STAGE = Stage(order=3, name="normalize", title="Normalization", limit_seconds=40, run=run)
