"""Run the GPU suite: facts, correctness, kernels, training, loading, the gate, augmentation, claims.

python -m benchmarks.gpu_proof --out results                 everything, at most nine minutes
python -m benchmarks.gpu_proof --out results --stage facts   one stage
python -m benchmarks.gpu_proof --out results --rehearse      on the CPU, in small, to find mistakes
python -m benchmarks.gpu_proof --out results --wheels wheels with packages that the machine lacks
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks.gpu_proof import stages
from benchmarks.gpu_proof.runner import Command, rows_file, run_stage, run_stage_here, stage_command
from benchmarks.gpu_proof.stage import Stage, StageContext, is_rehearsal
from benchmarks.gpu_proof.summary import render_summary
from benchmarks.gpu_proof.wheels import wheels_on_path
from perfsuite import atomic
from perfsuite.discovery import discover
from perfsuite.errors import PerfsuiteError
from perfsuite.measure.environment import detect_environment
from perfsuite.signals import sigterm_as_keyboard_interrupt

REHEARSAL_PATIENCE = 4  # it may share two slow cores with others


def all_stages() -> tuple[Stage, ...]:
    return tuple(sorted(discover(stages, "STAGE", Stage).values(), key=lambda stage: stage.order))


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "benchmarks.gpu_proof", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [stage.name for stage in all_stages()]
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the results")
    parser.add_argument("--stage", action="append", choices=names, help="run only this stage; repeatable")
    parser.add_argument("--rehearse", action="store_true", help="run in small on the CPU")
    parser.add_argument(
        "--wheels", type=Path, metavar="DIR", help="wheels of what is not installed; they are not installed"
    )
    parser.add_argument("--run-stage", choices=names, help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.run_stage:
        stage = next(stage for stage in all_stages() if stage.name == arguments.run_stage)
        out = arguments.out.resolve()
        run_stage_here(stage, StageContext(out, is_rehearsal(), rows_file(out, stage)))
        return 0
    chosen = [stage for stage in all_stages() if not arguments.stage or stage.name in arguments.stage]
    if arguments.rehearse:
        chosen = [replace(stage, limit_seconds=REHEARSAL_PATIENCE * stage.limit_seconds) for stage in chosen]
    with ExitStack() as stack:
        stack.enter_context(sigterm_as_keyboard_interrupt())  # the processes of a stage end with this one
        try:
            stack.enter_context(wheels_on_path(arguments.wheels))
        except PerfsuiteError as error:
            parser.error(str(error))
        return run_all(chosen, arguments.out.resolve(), rehearse=arguments.rehearse)


def run_all(chosen: Sequence[Stage], out: Path, *, rehearse: bool, command: Command = stage_command) -> int:
    """Run the stages and keep the page up to date; 1 where a stage had a problem."""
    facts = dict(detect_environment().hard)
    if rehearse:
        facts = {"rehearsal": "on the CPU, in small: these figures mean nothing", **facts}
    results = []
    for number, stage in enumerate(chosen, 1):
        print(f"{number} of {len(chosen)}: {stage.title} (at most {stage.limit_seconds} s)", flush=True)
        results.append(run_stage(stage, out, is_rehearsal=rehearse, command=command))
        atomic.replace(out / "summary.md", render_summary(facts, results, chosen[number:]).encode())
        problem = results[-1].problem
        print(f"   {results[-1].seconds:.0f} s{f': {problem}' if problem else ''}", flush=True)
    print(f"{out / 'summary.md'}")
    return 1 if any(result.problem for result in results) else 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
