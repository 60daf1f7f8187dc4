"""The exit code of the program, whether `main` returns it or argparse raises it."""

from __future__ import annotations

from collections.abc import Sequence

from perfsuite.cli import main


def exit_code_of(argv: Sequence[str]) -> int:
    try:
        return main(argv)
    except SystemExit as exited:
        return int(exited.code or 0)
