"""Pictures decoded once: bytes at training size, in memory that all workers share or in a mapped file.

A cache fills and never evicts: under random access one that evicts throws away just what is needed next. What
does not fit is decoded each time, as without a cache.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from perfsuite.data.photos import cache_root
from perfsuite.data.pictures import PictureMaker, Pixels, Recipe
from perfsuite.data.sets import Files, Part, Source
from perfsuite.errors import DataError

KINDS = ("ram", "disk")
# Raised when the same recipe would give other pixels, so that what older versions decoded is not used.
LAYOUT = 1
# Room for pictures of up to 3:2 at the cached shorter side; a longer one is kept a little smaller.
SHAPE_ROOM = 1.5


@dataclass(frozen=True, slots=True)
class Place:
    """How a cache lies in memory: so many pictures, each in room of the same size."""

    kept: int
    room_bytes: int

    @property
    def nbytes(self) -> int:
        return self.kept * (self.room_bytes + 8)


class Cached:
    """A source that keeps decoded pictures; give it to `make_loaders` in the place of the source.

    What depends on nothing random (centre, whole) is kept as it is shown. For random crops the whole picture
    is kept at `side` pixels on its shorter side.
    """

    def __init__(self, source: Source, recipe: Recipe, place: Place, side: int, file: Path | None) -> None:
        self._source, self._recipe, self._place = source, recipe, place
        self._side, self._file = side, file
        self._attach()

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._source.class_names

    @property
    def labels(self) -> NDArray[np.int32]:
        return self._source.labels

    def __len__(self) -> int:
        return len(self._source)

    def read(self, row: int) -> bytes:
        return self._source.read(row)

    def name(self, row: int) -> str:
        return self._source.name(row)

    @property
    def filled(self) -> int:
        """Pictures that are decoded already."""
        return int((self._shapes[:, 0] > 0).sum())

    @property
    def kept(self) -> int:
        """Pictures that there is room for."""
        return self._place.kept

    def pixels(self, row: int, maker: PictureMaker) -> Pixels | None:
        """The kept picture, decoded now if it was not; None where there is no room for it."""
        if row >= self._place.kept:
            return None
        height, width = (int(side) for side in self._shapes[row])
        if height and not self._trusted[row]:
            room = self._rooms[row, : height * width * 3]
            self._trusted[row] = zlib.crc32(room.data) == self._sums[row]
        if not self._trusted[row]:
            self._decode(row, maker)
            height, width = (int(side) for side in self._shapes[row])
        return self._rooms[row, : height * width * 3].reshape(height, width, 3)

    def _decode(self, row: int, maker: PictureMaker) -> None:
        shown = maker.to_keep(self._source.read(row), self._side, self._place.room_bytes)
        flat = shown.reshape(-1)
        self._shapes[row] = 0
        self._rooms[row, : len(flat)] = flat
        self._sums[row] = zlib.crc32(flat.data)
        self._shapes[row] = shown.shape[:2]
        self._trusted[row] = True

    def _attach(self) -> None:
        place = self._place
        self._map = _memory(place.nbytes, self._file)
        memory = np.frombuffer(self._map, np.uint8)
        end = place.kept * place.room_bytes
        self._rooms = memory[:end].reshape(place.kept, place.room_bytes)
        self._sums = memory[end : end + 4 * place.kept].view(np.uint32)
        self._shapes = memory[end + 4 * place.kept :].view(np.uint16).reshape(place.kept, 2)
        # What this process has decoded, or has compared with its checksum.
        self._trusted = np.zeros(place.kept, np.bool_)

    def __getstate__(self) -> dict[str, Any]:
        if self._file is None:
            raise DataError(
                "cache: memory without a name cannot be sent to a new process; use engine='threads', "
                "start_method='fork', or a cache on disk"
            )
        kept = ("_source", "_recipe", "_place", "_side", "_file")
        return {name: getattr(self, name) for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._attach()


def cached_parts(kind: str, parts: Mapping[str, Source], recipes: Mapping[str, Recipe]) -> dict[str, Source]:
    """Each part with a cache of its own: in memory they share half of what is free, by their pictures."""
    if kind not in KINDS:
        raise ValueError(f"cache: {kind!r}, expected one of {', '.join(KINDS)}, or None")
    if kind == "disk":
        return {name: disk_cache(part, recipes[name]) for name, part in parts.items()}
    room, pictures = psutil.virtual_memory().available // 2, sum(map(len, parts.values()))
    return {
        name: ram_cache(part, recipes[name], quota_bytes=room * len(part) // max(1, pictures))
        for name, part in parts.items()
    }


def ram_cache(source: Source, recipe: Recipe, side: int = 256, quota_bytes: int | None = None) -> Cached:
    """Keep decoded pictures in memory that threads and forked workers share; at most half of what is free."""
    quota = psutil.virtual_memory().available // 2 if quota_bytes is None else quota_bytes
    return Cached(source, recipe, _place(source, recipe, side, quota), side, None)


def disk_cache(
    source: Source,
    recipe: Recipe,
    side: int = 256,
    quota_bytes: int | None = None,
    folder: str | Path | None = None,
) -> Cached:
    """Keep decoded pictures in a file: found again by source and settings, and gone on with after a kill."""
    place = _place(source, recipe, side, quota_bytes)
    root = cache_root() / "decoded" if folder is None else Path(folder)
    told = [LAYOUT, side, place.kept, place.room_bytes, recipe.size, recipe.crop, recipe.decoder]
    key = hashlib.sha256(json.dumps(told).encode() + fingerprint(source)).hexdigest()[:20]
    return Cached(source, recipe, place, side, root / f"{key}.pixels")


def fingerprint(source: Source) -> bytes:
    """What the rows are: names, and sizes and times of files, so that a changed file is decoded anew."""
    told = hashlib.sha256()
    for row in range(len(source)):
        told.update(source.name(row).encode("utf-8", "surrogateescape") + b"\0")
        path = _path(source, row)
        if path is not None:
            try:
                found = os.stat(path, follow_symlinks=True)  # noqa: PTH116 - a path object per file is slow
            except OSError:
                continue
            told.update(f"{found.st_size},{found.st_mtime_ns};".encode())
    return told.digest()


def _path(source: Source, row: int) -> str | None:
    if isinstance(source, Part):
        return _path(source.whole, int(source.rows[row]))
    return f"{source.root}/{source.names[row]}" if isinstance(source, Files) else None


def _place(source: Source, recipe: Recipe, side: int, quota: int | None) -> Place:
    if side < 1 or (recipe.crop == "random" and side < recipe.size // 2):
        raise ValueError(f"cache: side {side}, expected about the size of the pictures shown ({recipe.size})")
    room = recipe.size**2 * 3 if recipe.crop != "random" else int(side * side * SHAPE_ROOM) * 3
    room = -(-room // 64) * 64
    kept = len(source) if quota is None else min(len(source), quota // (room + 8))
    return Place(max(kept, 0), room)


def _memory(nbytes: int, file: Path | None) -> mmap.mmap:
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
