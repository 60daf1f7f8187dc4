"""SIGTERM is treated as Ctrl-C in the process that measures, and only there."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from perfsuite.signals import sigterm_as_keyboard_interrupt


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
