"""SIGTERM is treated as Ctrl-C in the process that measures, and only there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.gpu_proof.runner import run_stage
from benchmarks.gpu_proof.stage import Stage
from perfsuite.advise.time_limit import TimeIsUpError, TimeLimit, interrupt_when_over
from perfsuite.pytest_plugin import series
from perfsuite.pytest_plugin.series import SeriesSide, run_pytest
from perfsuite.signals import interrupts_deferred, sigterm_as_keyboard_interrupt
from perfsuite.training.distributed.torchrun import run_ranks

SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")


def test_sigterm_raises_keyboard_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"), sigterm_as_keyboard_interrupt():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_an_existing_handler_is_left_in_place() -> None:
    received: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        with sigterm_as_keyboard_interrupt():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert received == [signal.SIGTERM]


def test_a_forked_worker_dies_of_sigterm() -> None:
    code = """
import os, signal
from perfsuite.signals import sigterm_as_keyboard_interrupt

with sigterm_as_keyboard_interrupt():
    child = os.fork()
    if child == 0:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            os._exit(0)  # not reached
    _, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == -signal.SIGTERM, status
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_deferred_interrupt_comes_after_the_block(number: signal.Signals) -> None:
    steps = []

    def work() -> None:
        with interrupts_deferred():
            signal.raise_signal(number)
            steps.append("not interrupted")
        steps.append("interrupted")

    with sigterm_as_keyboard_interrupt(), pytest.raises(KeyboardInterrupt):
        work()
    assert steps == ["not interrupted"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_the_end_of_a_time_limit_is_deferred_too() -> None:
    steps = []

    def work() -> None:
        with interrupts_deferred():
            signal.raise_signal(signal.SIGALRM)
            steps.append("not interrupted")
        steps.append("interrupted")

    with pytest.raises(TimeIsUpError), interrupt_when_over(TimeLimit.start(600.0)):
        work()
    assert steps == ["not interrupted"]


def run_a_stage(tmp_path: Path) -> None:
    stage = Stage(1, "sleep", "Sleep", 60, lambda context: iter(()))
    run_stage(stage, tmp_path, is_rehearsal=False, command=lambda stage, out: SLEEP)


def run_a_repeat(tmp_path: Path) -> None:
    run_pytest(SeriesSide("head", SLEEP, tmp_path, os.environ))


def run_on_ranks(tmp_path: Path) -> None:
    run_ranks(1, ["-m", "this"], 60)


@pytest.mark.parametrize("run", [run_a_stage, run_a_repeat, run_on_ranks])
def test_an_interrupt_while_a_process_starts_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[[Path], None]
) -> None:
    started: list[psutil.Process] = []

    class InterruptedPopen(subprocess.Popen[Any]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            started.append(psutil.Process(self.pid))
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", InterruptedPopen)
    monkeypatch.setattr(series, "_END_SECONDS", (0.1, 10.0))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    assert len(started) == 1
    assert not started[0].is_running()
