"""All GPU tests: normalization, kernels, augmentation, decoding, streams, graphs."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.gpu_proof.stage import Row, Stage, StageContext


def run(context: StageContext) -> Iterator[Row]:
    if context.is_rehearsal:  # the same tests run on the CPU, and in Triton's interpreter, in the usual suite
        done = context.run("-m", "pytest", "-q", "-m", "gpu", "--collect-only", "tests")
        yield Row("collected", done.stdout.strip().splitlines()[-1], "not run in a rehearsal")
        if done.returncode != 0:
            raise RuntimeError("the GPU tests cannot be collected; see commands.log")
        return
    context.pytest("tests", "--maxfail=20")


STAGE = Stage(order=2, name="correctness", title="Correctness on the GPU", limit_seconds=120, run=run)
