"""The interface of a decoder: bytes of a file in, RGB pixels (uint8, height x width x 3) out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from perfsuite.data.faults import reason_of
from perfsuite.errors import DataError

Pixels = NDArray[np.uint8]
DecodeFunction = Callable[[bytes], Pixels]


def _always_usable() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Decoder:
    """One entry of the registry. `decode` must be safe to call from several threads at once."""

    name: str
    decode: DecodeFunction
    module: str  # what `decode` imports
    distribution: str  # what is installed for it
    extra: str  # the extra of perfsuite that installs it
    is_usable: Callable[[], bool] = _always_usable  # whether the system has what the module needs

    @property
    def is_installed(self) -> bool:
        return find_spec(self.module) is not None and self.is_usable()


@contextmanager
def image_errors(data: bytes) -> Iterator[None]:
    """Turn any error of decoding `data` into a DataError that describes the bytes.

    Damaged bytes make decoders raise almost any type: TypeError, struct.error, MemoryError, IndexError.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{_describe_bytes(data)} of {len(data):,} bytes: {reason_of(error)}") from error


def _describe_bytes(data: bytes) -> str:
    if not data:
        return "an empty file"
    return "JPEG" if data[:2] == b"\xff\xd8" else "a file"
