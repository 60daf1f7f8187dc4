"""Images that cannot be read: the policy for them, and a log that counts and names them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from PIL import Image

from perfsuite.data.sources.base import ImageSource
from perfsuite.errors import DataError

FaultPolicy = Literal["raise", "skip", "substitute"]
FAULT_POLICIES = ("raise", "skip", "substitute")
MAX_RECORDED_FAULTS = 1000
# Errors of an image or its file, from any source. With on_error="raise" they become a DataError that names
# the image. Any other error is a bug in the source's own code: it keeps its type and its traceback.
# StopIteration is one of them, because a loop would treat it as the end of the epoch.
IMAGE_ERRORS = (DataError, OSError, MemoryError, StopIteration)


@dataclass(frozen=True, slots=True)
class Fault:
    """One image that could not be read."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(slots=True)
class FaultLog:
    """The number of faults, and the reasons by image name for the first `MAX_RECORDED_FAULTS` images."""

    count: int = 0
    reasons: dict[str, str] = field(default_factory=dict)

    def add(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            self.count += 1
            if len(self.reasons) < MAX_RECORDED_FAULTS:
                self.reasons.setdefault(fault.name, fault.reason)

    def __str__(self) -> str:
        if not self.count:
            return "every image was read"
        first = "; ".join(f"{name}: {reason}" for name, reason in list(self.reasons.items())[:3])
        return f"{self.count} times an image could not be read, {len(self.reasons)} files; {first}"


def reason_of(error: Exception) -> str:
    """Describe why an image could not be read; with the error's type if its message alone is too short.

    >>> reason_of(FileNotFoundError(2, "No such file or directory")), reason_of(MemoryError())
    ('No such file or directory', 'MemoryError')
    """
    if isinstance(error, OSError) and isinstance(error.strerror, str) and error.strerror:
        return error.strerror
    is_clear = isinstance(error, DataError | OSError | SyntaxError | Image.DecompressionBombError)
    message = message_of(error)
    if is_clear and message:
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def message_of(error: BaseException) -> str:
    """The error's message; empty if its own `__str__` fails."""
    try:
        return str(error)
    except Exception:  # of a source's own error class
        return ""


def name_row(source: ImageSource, row: int) -> str:
    """The name of an image in messages; its row if the source cannot name it."""
    try:
        return str(source.name(row))
    except Exception:  # any, because naming must not hide the error that is reported
        return f"row {row}"


def check_fault_policy(policy: str) -> None:
    if policy not in FAULT_POLICIES:
        raise ValueError(f"on_error: {policy!r}, expected one of {', '.join(FAULT_POLICIES)}")


def fault_error(
    fault: Fault, action: str = "set on_error='skip' or 'substitute' to continue without it"
) -> DataError:
    return DataError(f"{fault}; {action}")
