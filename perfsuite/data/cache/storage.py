"""Memory for images, in RAM that forked workers share or in a mapped file, each with a checksum."""

from __future__ import annotations

import mmap
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perfsuite.errors import DataError

Pixels = NDArray[np.uint8]
LONGEST_SIDE = (1 << 16) - 1  # shapes are stored as 16-bit numbers
SLOT_OVERHEAD_BYTES = (
    16  # bytes beside each room: a checksum, the shape of what is kept, the sides of the image
)


@dataclass(frozen=True, slots=True)
class StorageLayout:
    """How a cache lies in memory: so many images, each in room of the same size."""

    capacity: int
    slot_bytes: int

    @property
    def nbytes(self) -> int:
        return self.capacity * (self.slot_bytes + SLOT_OVERHEAD_BYTES)


class CachedImage(NamedTuple):
    """What is kept of an image, and the image's own width and height: labels follow from there."""

    pixels: Pixels
    original_size: tuple[int, int]


class PixelStorage:
    """A numbered room for each image, with a checksum that every process compares once."""

    def __init__(self, place: StorageLayout, file: Path | None) -> None:
        self.layout, self._file = place, file
        self._attach()

    @property
    def cached_count(self) -> int:
        return int((self._shapes[:, 0] > 0).sum())

    def get(self, number: int) -> CachedImage | None:
        """What is kept there, if anything is and its checksum is right."""
        if number >= self.layout.capacity:
            return None
        height, width = (int(side) for side in self._shapes[number])
        room = self._rooms[number, : height * width * 3]
        if not height:
            return None
        if not self._trusted[number]:
            self._trusted[number] = self._checksum(number, room) == self._sums[number]
        if not self._trusted[number]:
            return None
        across, down = (int(side) for side in self._sides[number])
        return CachedImage(room.reshape(height, width, 3), (across, down))

    def put(self, number: int, kept: CachedImage) -> None:
        """Keep an image where there is room for it; one that is very long and narrow does not fit."""
        flat = np.ascontiguousarray(kept.pixels).reshape(-1)
        is_too_long = max(kept.pixels.shape[:2]) > LONGEST_SIDE or len(flat) > self.layout.slot_bytes
        if number >= self.layout.capacity or is_too_long:
            return
        self._shapes[number] = 0
        self._rooms[number, : len(flat)] = flat
        self._sides[number] = kept.original_size
        self._sums[number] = self._checksum(number, flat)
        self._shapes[number] = kept.pixels.shape[:2]
        self._trusted[number] = True

    def _checksum(self, number: int, pixels: Pixels) -> int:
        return zlib.crc32(pixels.data, zlib.crc32(self._sides[number].data))

    def _attach(self) -> None:
        place = self.layout
        self._map = _map_memory(place.nbytes, self._file)
        memory = np.frombuffer(self._map, np.uint8, place.nbytes)  # a map of nothing has a byte
        end = place.capacity * place.slot_bytes
        self._rooms = memory[:end].reshape(place.capacity, place.slot_bytes)
        self._sums = memory[end : end + 4 * place.capacity].view(np.uint32)
        self._shapes = (
            memory[end + 4 * place.capacity : end + 8 * place.capacity].view(np.uint16).reshape(-1, 2)
        )
        self._sides = memory[end + 8 * place.capacity :].view(np.uint32).reshape(-1, 2)
        # What this process has written, or has compared with its checksum.
        self._trusted = np.zeros(place.capacity, np.bool_)

    def __getstate__(self) -> dict[str, Any]:
        if self._file is None:
            raise DataError(
                "cache: memory without a name cannot be sent to a new process; use engine='threads', "
                "start_method='fork', or a cache on disk"
            )
        return {"layout": self.layout, "_file": self._file}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._attach()


def _map_memory(nbytes: int, file: Path | None) -> mmap.mmap:
    if file is None:
        return mmap.mmap(-1, max(nbytes, 1))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a+b") as opened:
            if os.fstat(opened.fileno()).st_size != nbytes:
                opened.truncate(nbytes)
                # Room is taken now: a mapped file that runs out of disk kills whoever writes to it.
                os.posix_fallocate(opened.fileno(), 0, max(nbytes, 1))
            return mmap.mmap(opened.fileno(), max(nbytes, 1))
    except OSError as error:
        room = f"{nbytes:,} bytes"
        raise DataError(
            f"cache: {file}: {error.strerror}, {room} wanted; lower quota_bytes or choose another folder"
        ) from error
