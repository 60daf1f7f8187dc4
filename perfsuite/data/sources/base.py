"""The interface of a source: the encoded bytes, label and name of each row. Nothing is decoded here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from perfsuite.data.sources.file_index import Rows
from perfsuite.errors import DataError

ProgressCallback = Callable[[int, int], None]  # images done, images in all


class ImageSource(Protocol):
    """Rows of encoded images. A source must be picklable, and readable from many threads at once."""

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def labels(self) -> NDArray[np.int32]: ...

    def __len__(self) -> int: ...

    def read(self, row: int) -> bytes: ...

    def name(self, row: int) -> str: ...


@runtime_checkable
class VersionedSource(Protocol):
    """A source that knows which version of each image it reads, so that a cache notices a changed one."""

    def version(self, row: int) -> str:
        """A text that changes with the image, such as its size and time; empty if nothing is known."""
        ...


def read_row(source: ImageSource, row: int) -> bytes:
    """Read one image; a DataError if the source does not return bytes."""
    data: object = source.read(row)
    if isinstance(data, bytes):
        return data
    if isinstance(data, bytearray | memoryview):
        return bytes(data)
    raise DataError(f"the source's read returned {type(data).__name__}, expected bytes")


def spaced_rows(count: int, limit: int) -> list[int]:
    """At most `limit` rows of `count`, evenly spaced.

    >>> spaced_rows(10, 3), spaced_rows(2, 3)
    ([0, 3, 6], [0, 1])
    """
    return [index * count // limit for index in range(limit)] if count > limit else list(range(count))


@dataclass(frozen=True, slots=True, eq=False)
class Subset:
    """Some rows of a source, in a given order. It is a source itself."""

    source: ImageSource
    rows: Rows
    # Gathered once, because workers look up one label at a time.
    labels: NDArray[np.int32] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", self.source.labels[self.rows])

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.source.class_names

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, row: int) -> bytes:
        return self.source.read(int(self.rows[row]))

    def name(self, row: int) -> str:
        return self.source.name(int(self.rows[row]))

    def version(self, row: int) -> str:
        return self.source.version(int(self.rows[row])) if isinstance(self.source, VersionedSource) else ""
