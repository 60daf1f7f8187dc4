"""Send an error from a worker process so that the caller raises the same one: class, message, traceback."""

from __future__ import annotations

import pickle
import traceback
from dataclasses import dataclass
from typing import Any

from perfsuite.data.faults import message_of
from perfsuite.errors import DataError


class WorkerTracebackError(Exception):
    """The cause of an error that was raised in a worker process: its traceback there, as text."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


@dataclass(frozen=True, slots=True)
class SentError:
    """An error as bytes that any process can unpickle, and its traceback."""

    pickled: bytes
    traceback: str | None

    @classmethod
    def pack(cls, error: BaseException) -> SentError:
        """Keep class and message. An error of a class that cannot be imported becomes a RuntimeError."""
        # A DataError describes a file; where it was raised is of no use to the reader.
        text = None if isinstance(error, DataError) else "".join(traceback.format_exception(error))
        message = message_of(error)
        substitute = RuntimeError(f"{type(error).__name__}: {message}")
        for parts in (
            (error, None),
            (type(error), error.args, dict(vars(error))),
            (type(error), error.args, {}),
            (type(error), (message,), {}),
        ):
            pickled = _pickle_if_faithful(parts, error, message)
            if pickled is not None:
                return cls(pickled, text)
        return cls(pickle.dumps((substitute, None)), text)

    def unpack(self) -> BaseException:
        error = _unpickle(self.pickled)
        if self.traceback is not None:
            error.__cause__ = WorkerTracebackError(self.traceback)
        return error


def _pickle_if_faithful(parts: tuple[Any, ...], error: BaseException, message: str) -> bytes | None:
    try:
        pickled = pickle.dumps(parts)
        copy = _unpickle(pickled)
    except Exception:  # anything that prevents pickling
        return None
    return pickled if type(copy) is type(error) and message_of(copy) == message else None


def _unpickle(pickled: bytes) -> BaseException:
    """Restore an error; from its class and arguments if its own constructor cannot."""
    first, *rest = pickle.loads(pickled)  # noqa: S301 - from our own worker process
    if rest == [None]:
        error: BaseException = first
        return error
    args, attributes = rest
    error = first.__new__(first, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error
