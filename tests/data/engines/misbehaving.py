"""Sources that misbehave in one way each, and what a loader makes of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from perfsuite.data.engines.device_prefetch import DevicePrefetcher
from perfsuite.data.loader import Loader
from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.files import FileSource
from perfsuite.data.sources.splits import SPLITS
from perfsuite.errors import DataError, PerfsuiteError, UsageError

BAD_ROW, BATCH_SIZE = 5, 4


class TwoArgumentError(Exception):
    """Its constructor does not take what pickle gives to it."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"needs {one} and {two}")


class RewritingError(Exception):
    """Unpickling it as usual would change its message."""

    def __init__(self, name: str) -> None:
        super().__init__(f"bad {name}")


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise ValueError("no message")


class ArgumentlessError(Exception):
    def __init__(self) -> None:
        super().__init__("always the same")


class KeywordError(Exception):
    def __init__(self, *, code: int) -> None:
        super().__init__(code)
        self.code = code

    def __str__(self) -> str:
        return f"code {self.code}"


class HoldingError(Exception):
    """It holds what cannot be pickled."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.callback = lambda: message


class UnreducibleError(Exception):
    def __reduce__(self) -> Any:
        raise TypeError("cannot be pickled")


class OwnInterrupt(KeyboardInterrupt):
    pass


class OwnOSError(OSError):
    pass


class OwnDataError(DataError):
    pass


def raising(make: Callable[[], BaseException]) -> Callable[[], bytes]:
    def read() -> bytes:
        raise make()

    return read


def returning(value: Any) -> Callable[[], bytes]:
    return lambda: value


def _raise_with_cause() -> bytes:
    try:
        raise ValueError("the cause")
    except ValueError as error:
        raise KeyError("the effect") from error


def _recurse(depth: int = 0) -> bytes:
    return _recurse(depth + 1)


def _exhaust_generator() -> bytes:
    return next(iter(()))


def _raise_in_generator() -> bytes:
    def generate() -> Iterator[bytes]:
        raise StopIteration

    return next(generate())


def _divide_by_zero() -> bytes:
    return bytes(1 // (1 - 1))


SIMPLE_ERRORS: tuple[type[BaseException], ...] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    FloatingPointError,
    ImportError,
    IndexError,
    KeyError,
    LookupError,
    MemoryError,
    NameError,
    NotImplementedError,
    OSError,
    OverflowError,
    RecursionError,
    ReferenceError,
    RuntimeError,
    StopAsyncIteration,
    StopIteration,
    SyntaxError,
    SystemError,
    TypeError,
    UnicodeError,
    ValueError,
    UserWarning,
    Exception,
    KeyboardInterrupt,
    SystemExit,
    GeneratorExit,
    BaseException,
    ArgumentlessError,
    DataError,
    OwnDataError,
    UsageError,
    PerfsuiteError,
    UnprintableError,
    UnreducibleError,
    OwnInterrupt,
    OwnOSError,
    RewritingError,
    HoldingError,
)

# What `read` does at BAD_ROW.
BEHAVIORS: dict[str, Callable[[], bytes]] = {
    **{
        kind.__name__: raising(lambda kind=kind: kind() if kind is ArgumentlessError else kind("planted"))  # type: ignore[misc]
        for kind in SIMPLE_ERRORS
    },
    "TwoArgumentError": raising(lambda: TwoArgumentError(1, 2)),
    "KeywordError": raising(lambda: KeywordError(code=7)),
    "FileNotFoundError": raising(lambda: FileNotFoundError(2, "No such file or directory", "x.jpg")),
    "PermissionError": raising(lambda: PermissionError(13, "Permission denied")),
    "ConnectionResetError": raising(lambda: ConnectionResetError(104, "Connection reset by peer")),
    "TimeoutError": raising(lambda: TimeoutError("the store does not answer")),
    "BrokenPipeError": raising(BrokenPipeError),
    "UnicodeDecodeError": raising(lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")),
    "empty KeyError": raising(KeyError),
    "many arguments": raising(lambda: ValueError("one", 2, [3])),
    "a lambda as argument": raising(lambda: ValueError(lambda: 1) and ValueError("a", print)),
    "a long message": raising(lambda: ValueError("x" * 100_000)),
    "a surrogate": raising(lambda: ValueError("\udcff")),
    "ExceptionGroup": raising(lambda: ExceptionGroup("several", [ValueError("one"), KeyError("two")])),
    "StopIteration with a value": raising(lambda: StopIteration({"a": 1})),
    "SystemExit with a code": raising(lambda: SystemExit(3)),
    "a cause": _raise_with_cause,
    "endless recursion": _recurse,
    "an exhausted iterator": _exhaust_generator,
    "StopIteration in a generator": _raise_in_generator,
    "division by zero": _divide_by_zero,
    "None": returning(None),
    "text": returning("text"),
    "a number": returning(7),
    "a list": returning([1, 2]),
    "an array": returning(np.zeros(8, np.uint8)),
    "no bytes": returning(b""),
    "bytes of no image": returning(b"not an image"),
    "the start of a JPEG": returning(b"\xff\xd8\xff\xe0"),
    "an image of 2 TB": returning(
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\x0f\xff\xff\0\x0f\xff\xff\x08\x02\0\0\0" + b"\0" * 40
    ),
}
# These return an image all the same.
HARMLESS: dict[str, Callable[[bytes], Any]] = {"a bytearray": bytearray, "a memoryview": memoryview}


@dataclass(frozen=True, slots=True, eq=False)
class MisbehavingSource(FileSource):
    """Misbehaves at BAD_ROW as the text of `control` says: a file, so that worker processes see it too."""

    control: str = ""

    def read(self, row: int) -> bytes:
        # Not by super(): it needs a class cell, which a dataclass with slots replaces.
        behavior = Path(self.control).read_text() if row == BAD_ROW else ""
        return BEHAVIORS[behavior]() if behavior else FileSource.read(self, row)


@dataclass(frozen=True, slots=True, eq=False)
class HarmlessSource(FileSource):
    behavior: str = ""

    def read(self, row: int) -> Any:
        return HARMLESS[self.behavior](FileSource.read(self, row))


@dataclass(frozen=True, slots=True, eq=False)
class KilledSource(FileSource):
    """Ends its process at BAD_ROW, until `cure` exists."""

    cure: str = ""
    how: str = "kill"

    def read(self, row: int) -> bytes:
        if row == BAD_ROW and not os.path.exists(self.cure):  # noqa: PTH110
            if self.how == "exit":
                os._exit(5)
            if self.how == "abort":
                os.abort()
            os.kill(os.getpid(), {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}[self.how])
            time.sleep(1.0)  # another thread may take the signal, and this one would go on until it has
        return FileSource.read(self, row)


@dataclass(frozen=True, slots=True, eq=False)
class HangingSource(FileSource):
    """Does not return from BAD_ROW until `cure` exists."""

    cure: str = ""

    def read(self, row: int) -> bytes:
        while row == BAD_ROW and not os.path.exists(self.cure):  # noqa: PTH110
            time.sleep(0.05)
        return FileSource.read(self, row)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an epoch ended: the error's class and message, and the images before it."""

    error: str
    message: str
    images: int
    faults: dict[str, str] = field(default_factory=dict)


def loader_of(source: Any, engine: str, workers: int, on_error: Any, **options: Any) -> Loader:
    """A loader of an engine by name; with " copied" behind it, through the thread that copies to a device."""
    engine, _, is_copied = engine.partition(" ")
    sources = dict.fromkeys(SPLITS, source)
    settings: dict[str, Any] = {"start_method": "fork", "val_crop": "stretch"} | options
    loader = make_loaders(
        sources, BATCH_SIZE, workers, image_size=32, engine=engine, on_error=on_error, **settings
    ).val
    if is_copied:
        layout = loader.image_config.batch_layout
        loader._engine = DevicePrefetcher(loader._engine, layout, torch.device("cpu"))
    return loader


def run_epoch(loader: Loader) -> Outcome:
    images = 0
    try:
        for batch, _ in loader:
            images += len(batch)
    except BaseException as error:
        return Outcome(type(error).__name__, _message_of(error), images, dict(loader.faults.reasons))
    return Outcome("", "", images, dict(loader.faults.reasons))


def _message_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "unprintable"


def copy_of(kind: type[Any], files: FileSource, **options: Any) -> Any:
    labels: NDArray[np.int32] = files.labels
    return kind(files.root, files.names, labels, files.class_names, **options)


@contextmanager
def cured(path: Path) -> Iterator[None]:
    path.touch()
    try:
        yield
    finally:
        path.unlink()
