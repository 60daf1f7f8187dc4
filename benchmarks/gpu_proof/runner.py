"""Run the stages one after another, each in a process of its own with a time limit of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gpu_proof.rows_plugin import REHEARSAL_VARIABLE
from benchmarks.gpu_proof.stage import ROOT, Row, Stage, StageContext, python_path
from perfsuite.gate.descendants import descendants, kill
from perfsuite.signals import started

# Without compilation, with Triton's kernels in its interpreter, and without threads that wait for each other.
REHEARSAL_ENVIRONMENT = {
    REHEARSAL_VARIABLE: "1",
    "OMP_NUM_THREADS": "1",
    "TORCHDYNAMO_DISABLE": "1",
    "TRITON_INTERPRET": "1",
}
Command = Callable[[Stage, Path], Sequence[str]]


@dataclass(frozen=True, slots=True)
class StageResult:
    """The rows of one stage, how long it took, and why it ended early where it did."""

    stage: Stage
    rows: tuple[Row, ...]
    seconds: float
    problem: str = ""


def stage_command(stage: Stage, out: Path) -> Sequence[str]:
    return [sys.executable, "-m", "benchmarks.gpu_proof", "--run-stage", stage.name, "--out", str(out)]


def run_stage_here(stage: Stage, context: StageContext) -> None:
    """Append each row when it is there, so that a stage that is ended leaves what it found."""
    for row in stage.run(context):
        with context.rows_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row.as_json()) + "\n")


def rows_file(out: Path, stage: Stage) -> Path:
    return out / f"{stage.name}.rows.jsonl"


def run_stage(
    stage: Stage, out: Path, *, is_rehearsal: bool, command: Command = stage_command
) -> StageResult:
    """Run a stage in a new process group, and end it with all it started at the time limit."""
    rows_file(out, stage).unlink(missing_ok=True)
    environment = {**os.environ, "PYTHONPATH": python_path()}
    if is_rehearsal:
        environment |= REHEARSAL_ENVIRONMENT
    begin = time.monotonic()
    log = out / f"{stage.name}.log"
    code: int | None = None
    with log.open("wb") as output:

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                list(command(stage, out)),
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

        with started(start, _end_group) as process, suppress(subprocess.TimeoutExpired):
            code = process.wait(stage.limit_seconds)
    problem = ""
    if code is None:
        problem = f"ended after its limit of {stage.limit_seconds} s"
    elif code != 0:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
        problem = next((line for line in reversed(lines) if line.strip()), f"exit code {code}")
    return StageResult(stage, _read_rows(out, stage), time.monotonic() - begin, problem)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """The sides of a gate are in groups of their own; one that lives on would keep the device's memory."""
    started = descendants(process.pid)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kill(started)


def _read_rows(out: Path, stage: Stage) -> tuple[Row, ...]:
    path = rows_file(out, stage)
    if not path.exists():
        return ()
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return tuple(Row(**json.loads(line)) for line in lines if line.endswith("\n"))
