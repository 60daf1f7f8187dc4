"""Fixed-size slots for decoded images, in shared memory or in a mapped file, each with a checksum."""

from __future__ import annotations

import mmap
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from perfsuite.errors import DataError

LONGEST_SIDE = (1 << 16) - 1  # shapes are stored as 16-bit numbers
# Per slot, beside its pixels: a checksum (4), the shape of the pixels (4), and the image's size (8).
SLOT_OVERHEAD_BYTES = 16
SLOT_ALIGNMENT_BYTES = 64


@dataclass(frozen=True, slots=True)
class StorageLayout:
    """The number of slots, and the bytes of pixels in each."""

    capacity: int
    slot_bytes: int

    @classmethod
    def fit(cls, images: int, bytes_per_image: int, quota_bytes: int | None) -> Self:
        """One slot per image, or as many as fit into the quota."""
        slot_bytes = -(-bytes_per_image // SLOT_ALIGNMENT_BYTES) * SLOT_ALIGNMENT_BYTES
        if quota_bytes is not None:
            images = min(images, quota_bytes // (slot_bytes + SLOT_OVERHEAD_BYTES))
        return cls(max(images, 0), slot_bytes)

    @property
    def nbytes(self) -> int:
        return self.capacity * (self.slot_bytes + SLOT_OVERHEAD_BYTES)


class CachedImage(NamedTuple):
    """Stored pixels, and the width and height of the image they were made from, which its labels refer to."""

    pixels: NDArray[np.uint8]
    original_size: tuple[int, int]


class PixelStorage:
    """Numbered slots for images. Each process verifies a slot's checksum once."""

    def __init__(self, layout: StorageLayout, file: Path | None) -> None:
        self.layout, self._file = layout, file
        self._attach()

    @property
    def cached_count(self) -> int:
        return int((self._shapes[:, 0] > 0).sum())

    def get(self, number: int) -> CachedImage | None:
        """Return the image in a slot; None if the slot is empty, or its checksum is wrong."""
        if number >= self.layout.capacity:
            return None
        height, width = (int(side) for side in self._shapes[number])
        if not 0 < height * width * 3 <= self.layout.slot_bytes:
            return None
        pixels = self._slots[number, : height * width * 3]
        if not self._verified[number]:
            self._verified[number] = self._checksum(number, pixels) == self._checksums[number]
        if not self._verified[number]:
            return None
        original_width, original_height = (int(side) for side in self._original_sizes[number])
        return CachedImage(pixels.reshape(height, width, 3), (original_width, original_height))

    def put(self, number: int, image: CachedImage) -> None:
        """Store an image. Nothing is stored without a slot, or if a very long and narrow image exceeds it."""
        flat = np.ascontiguousarray(image.pixels).reshape(-1)
        is_too_large = max(image.pixels.shape[:2]) > LONGEST_SIDE or len(flat) > self.layout.slot_bytes
        if number >= self.layout.capacity or is_too_large:
            return
        # The shape marks a slot as filled, so it is written last.
        self._shapes[number] = 0
        self._slots[number, : len(flat)] = flat
        self._original_sizes[number] = image.original_size
        self._checksums[number] = self._checksum(number, flat)
        self._shapes[number] = image.pixels.shape[:2]
        self._verified[number] = True

    def _checksum(self, number: int, pixels: NDArray[np.uint8]) -> int:
        return zlib.crc32(pixels.data, zlib.crc32(self._original_sizes[number].data))

    def _attach(self) -> None:
        layout = self.layout
        self._map = _map_memory(layout.nbytes, self._file)
        memory = np.frombuffer(self._map, np.uint8, layout.nbytes)  # an empty map has one byte
        end = layout.capacity * layout.slot_bytes
        self._slots = memory[:end].reshape(layout.capacity, layout.slot_bytes)
        self._checksums = memory[end : end + 4 * layout.capacity].view(np.uint32)
        self._shapes = (
            memory[end + 4 * layout.capacity : end + 8 * layout.capacity].view(np.uint16).reshape(-1, 2)
        )
        self._original_sizes = memory[end + 8 * layout.capacity :].view(np.uint32).reshape(-1, 2)
        # Slots that this process has written, or whose checksum it has verified.
        self._verified = np.zeros(layout.capacity, np.bool_)

    def __getstate__(self) -> dict[str, Any]:
        if self._file is None:
            raise DataError(
                "cache: anonymous memory cannot be sent to a new process; use engine='threads', "
                "start_method='fork', or a cache on disk"
            )
        return {"layout": self.layout, "_file": self._file}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._attach()


def _open_unless_link(path: str, flags: int) -> int:
    """Open a cache's file; an OSError for a symbolic link, whose target must not be overwritten."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o644)


def _map_memory(nbytes: int, file: Path | None) -> mmap.mmap:
    size = max(nbytes, 1)  # no map is empty
    if file is None:
        return mmap.mmap(-1, size)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "a+b", opener=_open_unless_link) as opened:
            if os.fstat(opened.fileno()).st_size != size:
                opened.truncate(size)
                # Allocate now: writing to a mapped file on a full disk kills the process.
                os.posix_fallocate(opened.fileno(), 0, size)
            return mmap.mmap(opened.fileno(), size)
    except OSError as error:
        raise DataError(
            f"cache: {file}: {error.strerror}, expected room for {nbytes:,} bytes; "
            "lower quota_bytes or choose another folder"
        ) from error
