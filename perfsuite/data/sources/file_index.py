"""File names of very large data sets, in two flat arrays.

Forked workers share flat arrays. A list of a million strings is copied page by page in each worker, because
reading a string writes its reference count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class PackedStrings:
    """Many strings in one buffer.

    >>> names = PackedStrings.from_strings(["a.jpg", "ü.jpg"])
    >>> names[1], len(names)
    ('ü.jpg', 2)
    """

    text: NDArray[np.uint8]
    ends: NDArray[np.uint64]

    @classmethod
    def from_strings(cls, names: Iterable[str]) -> PackedStrings:
        # File names may contain any bytes; Python represents those that are not UTF-8 by surrogateescape.
        encoded = [name.encode("utf-8", "surrogateescape") for name in names]
        ends = np.cumsum(np.fromiter(map(len, encoded), np.uint64, len(encoded)), dtype=np.uint64)
        return cls(np.frombuffer(b"".join(encoded), np.uint8), ends)

    @classmethod
    def concatenate(cls, parts: Iterable[PackedStrings]) -> PackedStrings:
        parts = list(parts)
        starts = np.array([0, *(part.text.size for part in parts)], np.uint64).cumsum(dtype=np.uint64)
        text = np.concatenate([np.empty(0, np.uint8), *(part.text for part in parts)])
        ends = [part.ends + start for part, start in zip(parts, starts, strict=False)]
        return cls(text, np.concatenate([np.empty(0, np.uint64), *ends]))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row: int) -> str:
        if not 0 <= row < len(self.ends):
            raise IndexError(f"row {row}, expected 0 to {len(self.ends) - 1}")
        return self.encoded(row).decode("utf-8", "surrogateescape")

    def encoded(self, row: int) -> bytes:
        start = int(self.ends[row - 1]) if row else 0
        return self.text[start : int(self.ends[row])].tobytes()

    def hashes(self) -> NDArray[np.uint64]:
        """A hash of each name: sorting by it does not depend on the order of a listing."""
        hashed = (hashlib.blake2b(self.encoded(row), digest_size=8).digest() for row in range(len(self)))
        return np.frombuffer(b"".join(hashed), ">u8").astype(np.uint64)

    @property
    def nbytes(self) -> int:
        return self.text.nbytes + self.ends.nbytes
