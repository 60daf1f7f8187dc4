"""Names and labels of very many files in a few flat buffers: no object per file, nothing for workers to copy.

Forked workers that only touch flat arrays share them for good; a list of a million strings is copied page by
page as their reference counts are written.
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

    >>> names = PackedStrings.of(["a.jpg", "ü.jpg"])
    >>> names[1], len(names)
    ('ü.jpg', 2)
    """

    text: NDArray[np.uint8]
    ends: NDArray[np.uint64]

    @classmethod
    def of(cls, names: Iterable[str]) -> PackedStrings:
        # File names may hold any bytes; surrogateescape is how Python carries those that are not UTF-8.
        encoded = [name.encode("utf-8", "surrogateescape") for name in names]
        ends = np.cumsum(np.fromiter(map(len, encoded), np.uint64, len(encoded)), dtype=np.uint64)
        return cls(np.frombuffer(b"".join(encoded), np.uint8), ends)

    @classmethod
    def concatenate(cls, parts: Iterable[PackedStrings]) -> PackedStrings:
        kept = list(parts)
        sizes = np.array([0, *(part.text.size for part in kept)], np.uint64).cumsum(dtype=np.uint64)
        text = np.concatenate([np.empty(0, np.uint8), *(part.text for part in kept)])
        ends = [part.ends + start for part, start in zip(kept, sizes, strict=False)]
        return cls(text, np.concatenate([np.empty(0, np.uint64), *ends]))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row: int) -> str:
        if not 0 <= row < len(self.ends):
            raise IndexError(f"row {row} of {len(self.ends)}")
        return self.encoded(row).decode("utf-8", "surrogateescape")

    def encoded(self, row: int) -> bytes:
        start = int(self.ends[row - 1]) if row else 0
        return self.text[start : int(self.ends[row])].tobytes()

    def hashes(self) -> NDArray[np.uint64]:
        """A number for each name that depends on it alone: an order that no listing changes."""
        hashed = (hashlib.blake2b(self.encoded(row), digest_size=8).digest() for row in range(len(self)))
        return np.frombuffer(b"".join(hashed), ">u8").astype(np.uint64)

    @property
    def nbytes(self) -> int:
        return self.text.nbytes + self.ends.nbytes


def split_rows(
    labels: NDArray[np.int32], ranks: NDArray[np.uint64], val: float, test: float
) -> dict[str, Rows]:
    """Train, val and test rows, class by class in the order of `ranks`; each part sorted.

    >>> parts = split_rows(np.zeros(10, np.int32), np.arange(10, dtype=np.uint64), val=0.2, test=0.1)
    >>> {name: rows.tolist() for name, rows in parts.items()}
    {'train': [3, 4, 5, 6, 7, 8, 9], 'val': [0, 1], 'test': [2]}
    """
    if not (0 <= val <= 1 and 0 <= test <= 1 and val + test <= 1):
        raise ValueError(f"split: val {val} and test {test}, expected shares of 0 to 1 in all")
    order = np.lexsort((ranks, labels))
    in_order = labels[order]
    starts = np.searchsorted(in_order, np.arange(labels.max(initial=-1) + 1))
    sizes = np.diff([*starts, len(labels)])
    # A row's place within its class, and that class's size, for all rows at once.
    place = np.arange(len(labels)) - np.repeat(starts, sizes)
    size = np.repeat(sizes, sizes)
    first, second = np.rint(size * val), np.rint(size * (val + test))
    chosen = {"train": place >= second, "val": place < first, "test": (place >= first) & (place < second)}
    return {name: np.sort(order[mask]).astype(np.int64) for name, mask in chosen.items()}
