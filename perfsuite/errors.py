"""What is raised when no answer is possible; never used to say "too slow"."""

from __future__ import annotations


class PerfsuiteError(Exception):
    """A mistake or a lack that the user can mend; shown without a traceback."""

    exit_code = 2


class UsageError(PerfsuiteError):
    """A limit, an option or a call that does not make sense."""


class StoreError(PerfsuiteError):
    """A stored run or baseline that cannot be read or written."""

    exit_code = 13


class NothingMeasuredError(PerfsuiteError):
    """A run or comparison that would have been green having looked at nothing."""

    exit_code = 12


class DataError(PerfsuiteError):
    """Images, labels or checkpoints that are missing, damaged or of the wrong kind."""


class ParityError(PerfsuiteError):
    """A variant of a model or step whose outputs differ from the reference's beyond the tolerance."""

    exit_code = 1
