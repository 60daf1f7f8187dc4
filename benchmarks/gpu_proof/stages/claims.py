"""The common claims about training optimizations, measured on this GPU."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.gpu_proof.stage import Row, Stage, StageContext


def run(context: StageContext) -> Iterator[Row]:
    if context.is_rehearsal:  # minutes on a CPU; the command has tests of its own
        done = context.run("-m", "perfsuite", "claims", "--help")
        yield Row("perfsuite claims", "not run in a rehearsal", done.stdout.splitlines()[0])
        return
    model = ["--model", "resnet18-cifar", "--image-size", "32", "--batch-size", "256"]
    done = context.run("-m", "perfsuite", "claims", *model, "--device", "cuda", "--seconds", "2")
    (context.out / "claims.txt").write_text(done.stdout, encoding="utf-8")
    for line in done.stdout.splitlines():
        if line.startswith("|"):
            yield Row("claim", line.strip("| "))
    if done.returncode != 0:
        raise RuntimeError(f"perfsuite claims: exit {done.returncode}; see commands.log")


STAGE = Stage(order=8, name="claims", title="Claims", limit_seconds=40, run=run)
