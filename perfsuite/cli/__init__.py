"""The `perfsuite` command line."""

from perfsuite.cli.program import main

__all__ = ["main"]
