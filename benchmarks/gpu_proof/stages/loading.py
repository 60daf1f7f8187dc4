"""The loader that feeds the step, and decoding on the GPU against DALI."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.gpu_proof.stage import Row, Stage, StageContext


def run(context: StageContext) -> Iterator[Row]:
    seconds = "0.2" if context.is_rehearsal else "5"
    yield from context.pytest(
        "benchmarks/test_peers.py", f"--perf-max-time={seconds}", "--benchmark-max-time=0.1"
    )


STAGE = Stage(order=5, name="loading", title="Loading", limit_seconds=50, run=run)
