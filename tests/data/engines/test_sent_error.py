"""An error that is sent between processes keeps class, message and traceback."""

from __future__ import annotations

import pytest

from perfsuite.data.engines.sent_error import SentError, WorkerTracebackError
from perfsuite.errors import DataError
from tests.data.engines.misbehaving import BEHAVIORS


def error_of(behavior: str) -> BaseException:
    try:
        BEHAVIORS[behavior]()
    except BaseException as error:
        return error
    pytest.skip("returns something")


@pytest.mark.parametrize("behavior", BEHAVIORS)
def test_class_and_message_are_kept(behavior: str) -> None:
    error = error_of(behavior)
    received = SentError.pack(error).unpack()
    assert type(received) is type(error)
    if behavior != "UnprintableError":
        assert str(received) == str(error)
    if not isinstance(error, DataError):
        assert isinstance(received.__cause__, WorkerTracebackError)
        assert "misbehaving.py" in str(received.__cause__)


def test_an_error_of_a_class_that_cannot_be_imported_becomes_a_runtime_error() -> None:
    class LocalError(Exception):
        pass

    received = SentError.pack(LocalError("here")).unpack()
    assert type(received) is RuntimeError
    assert str(received) == "LocalError: here"
