"""Exceptions and exit codes. A benchmark that is too slow is a verdict, not an exception."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command."""

    KEPT = 0
    REGRESSED = 1  # or broken
    USAGE = 2
    INTERNAL = 3
    UNCLEAR = 10
    UNFIT = 11  # the machine is too noisy to judge times
    NOT_COMPARED = 12  # nothing or not everything was compared
    UNREADABLE = 13  # a stored run or baseline
    INTERRUPTED = 130  # as shells report Ctrl-C


class PerfsuiteError(Exception):
    """A mistake that the user can correct; the command line shows it without a traceback."""

    exit_code: int = ExitCode.USAGE


class UsageError(PerfsuiteError):
    """A limit, option or call that makes no sense."""


class StoreError(PerfsuiteError):
    """A stored run or baseline that cannot be read or written."""

    exit_code = ExitCode.UNREADABLE


class NothingMeasuredError(PerfsuiteError):
    """A run or comparison that measured nothing and must not pass as green."""

    exit_code = ExitCode.NOT_COMPARED


class DataError(PerfsuiteError):
    """Images, labels or checkpoints that are missing, damaged or of the wrong kind."""


class ParityError(PerfsuiteError):
    """A variant of a model or step whose outputs differ from the reference's beyond the tolerance."""

    exit_code = 1
