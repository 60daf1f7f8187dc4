"""The interface of a fuzz target, and how a command's end is judged."""

from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from perfsuite.cli import main

Corpus = Callable[[], Sequence[bytes]]
Mutate = Callable[[random.Random, bytes], bytes]
TryOne = Callable[[bytes, Path], None]  # raises whatever is a finding


@dataclass(frozen=True, slots=True)
class Target:
    """Inputs made here, how they are changed, and what reads them."""

    name: str
    corpus: Corpus
    mutate: Mutate
    try_one: TryOne
    needs: str = ""  # an optional package

    @property
    def is_available(self) -> bool:
        return not self.needs or find_spec(self.needs) is not None


class FindingError(AssertionError):
    """An input that does what no input may do."""


def run_command(*words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the command line; a traceback is a finding, and so is exit code 3."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(list(words))
        except SystemExit as error:
            code = int(str(error.code))
    if "Traceback" in err.getvalue() or code == 3:
        raise FindingError(f"{words[0]}: exit code {code}, expected an error in one line:\n{err.getvalue()}")
    if code == 1 and "regressed" not in out.getvalue() and "broken" not in out.getvalue():
        raise FindingError(f"{words[0]}: exit code 1, expected only for regressed or broken")
    if "\x1b" in out.getvalue() + err.getvalue():
        raise FindingError(f"{words[0]}: printed a control sequence of its input")
    return code, out.getvalue(), err.getvalue()
