"""SIGTERM means Ctrl-C to a run that measures, and to nobody else."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from perfsuite.gate.signals import sigterm_as_keyboard_interrupt


def test_the_signal_ends_the_run_as_ctrl_c_would() -> None:
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"), sigterm_as_keyboard_interrupt():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_who_has_a_use_for_the_signal_keeps_it() -> None:
    heard: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        with sigterm_as_keyboard_interrupt():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert heard == [signal.SIGTERM]


def test_a_forked_worker_dies_of_it_as_it_always_did() -> None:
    code = """
import os, signal
from perfsuite.gate.signals import sigterm_as_keyboard_interrupt

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
