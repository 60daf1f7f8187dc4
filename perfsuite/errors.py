"""Exceptions and exit codes. A benchmark that is too slow is a verdict, not an exception."""

from __future__ import annotations

import re
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
    UNREADABLE = 13  # a stored run or baseline, or an image that `data check` finds
    INTERRUPTED = 130  # as shells report Ctrl-C


def redact_url(text: str) -> str:
    """Replace passwords and query values (which sign a request) in all URLs of a text.

    >>> redact_url("https://ann:secret@host/x.jpg?sig=abc&v=2: not found")
    'https://ann:***@host/x.jpg?sig=***&v=***: not found'
    """
    text = re.sub(r"(:/{1,2}[^/\s@:]*):[^/\s]*@", r"\1:***@", text)  # as a Path, a URL has one slash
    return re.sub(r"([?&][\w.-]+=)[^&\s:'\")]+", r"\1***", text) if "://" in text else text


class PerfsuiteError(Exception):
    """A mistake that the user can correct; the command line shows it without a traceback.

    Its text never has the password of a URL.
    """

    exit_code: int = ExitCode.USAGE

    def __str__(self) -> str:
        return redact_url(super().__str__())


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
