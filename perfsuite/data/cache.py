"""Pictures decoded once, or finished once: kept in memory that all workers share or in a mapped file.

A cache fills and never evicts: under random access one that evicts throws away just what is needed next. What
does not fit is decoded each time, as without a cache.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from perfsuite.data.photos import cache_root
from perfsuite.data.pictures import PictureMaker
from perfsuite.data.recipe import Recipe
from perfsuite.data.rooms import BESIDE, Kept, Place, Rooms
from perfsuite.data.sets import Files, Part, Source

KINDS = ("ram", "disk")
# Raised when the same recipe would give other pixels, so that what older versions decoded is not used.
LAYOUT = 2
# Room for pictures of up to 3:2 at the cached shorter side; a longer one is kept a little smaller.
SHAPE_ROOM = 1.5


class _Kept:
    """A source with rooms for what is made of its pictures."""

    def __init__(self, source: Source, recipe: Recipe, rooms: Rooms) -> None:
        self._source, self.recipe, self._rooms = source, recipe, rooms

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
        """Pictures that are kept already."""
        return self._rooms.filled

    @property
    def kept(self) -> int:
        """Pictures that there is room for."""
        return self._rooms.place.kept


class Cached(_Kept):
    """A source that keeps decoded pictures; give it to `make_loaders` in the place of the source.

    What depends on nothing random (centre, whole) is kept as it is shown. For random crops the whole picture
    is kept at `side` pixels on its shorter side.
    """

    def __init__(self, source: Source, recipe: Recipe, rooms: Rooms, side: int) -> None:
        super().__init__(source, recipe, rooms)
        self._side = side

    def decoded(self, row: int, maker: PictureMaker) -> Kept | None:
        """The kept picture, decoded now if it was not; None where there is no room for it."""
        if row >= self.kept:
            return None
        found = self._rooms.get(row)
        if found is None:
            room_bytes = self._rooms.place.room_bytes
            found = maker.to_keep(self._source.read(row), self._side, room_bytes)
            self._rooms.put(row, found)
        return found


class Finished(_Kept):
    """A source that keeps finished pictures, cropped and augmented, of so many epochs, and shows them again.

    The recipe must be the loader's own. Epoch `epochs` shows what epoch 0 showed, in another order.
    """

    def __init__(self, source: Source, recipe: Recipe, rooms: Rooms, epochs: int) -> None:
        super().__init__(source, recipe, rooms)
        self.epochs = epochs

    def finished(self, row: int, epoch: int) -> Kept | None:
        return self._rooms.get(row * self.epochs + epoch)

    def finish(self, row: int, epoch: int, made: Kept) -> None:
        self._rooms.put(row * self.epochs + epoch, made)


def cached_parts(
    kind: str, parts: Mapping[str, Source], recipes: Mapping[str, Recipe], epochs: int = 0
) -> dict[str, Source]:
    """Each part with a cache of its own, finished pictures of so many epochs for the part that is shuffled.

    In memory they share half of what is free, by their pictures.
    """
    if kind not in KINDS:
        raise ValueError(f"cache: {kind!r}, expected one of {', '.join(KINDS)}, or None")
    pictures = {name: len(part) * (epochs or 1 if name == "train" else 1) for name, part in parts.items()}
    free = psutil.virtual_memory().available // 2 if kind == "ram" else None
    cached: dict[str, Source] = {}
    for name, part in parts.items():
        quota = None if free is None else free * pictures[name] // max(1, sum(pictures.values()))
        if name == "train" and epochs:
            cached[name] = finished_cache(part, recipes[name], epochs, kind, quota)
        elif kind == "disk":
            cached[name] = disk_cache(part, recipes[name])
        else:
            cached[name] = ram_cache(part, recipes[name], quota_bytes=quota)
    return cached


def ram_cache(source: Source, recipe: Recipe, side: int = 256, quota_bytes: int | None = None) -> Cached:
    """Keep decoded pictures in memory that threads and forked workers share; at most half of what is free."""
    quota = psutil.virtual_memory().available // 2 if quota_bytes is None else quota_bytes
    return Cached(source, recipe, Rooms(_place(source, recipe, side, quota), None), side)


def disk_cache(
    source: Source,
    recipe: Recipe,
    side: int = 256,
    quota_bytes: int | None = None,
    folder: str | Path | None = None,
) -> Cached:
    """Keep decoded pictures in a file: found again by source and settings, and gone on with after a kill."""
    place = _place(source, recipe, side, quota_bytes)
    told = [LAYOUT, side, place.kept, place.room_bytes, *_how_decoded(recipe)]
    return Cached(source, recipe, Rooms(place, _file(told, source, folder)), side)


def finished_cache(
    source: Source,
    recipe: Recipe,
    epochs: int,
    kind: str = "ram",
    quota_bytes: int | None = None,
    folder: str | Path | None = None,
) -> Finished:
    """Keep finished pictures of so many epochs: a data set augmented beforehand, made as it is trained on."""
    if epochs < 1:
        raise ValueError(f"cache: {epochs} epochs, expected at least 1")
    room = -(-(recipe.size**2 * 3) // 64) * 64
    kept = len(source) * epochs
    if kind == "ram" and quota_bytes is None:
        quota_bytes = psutil.virtual_memory().available // 2
    if quota_bytes is not None:
        kept = min(kept, quota_bytes // (room + BESIDE))
    place = Place(kept, room)
    if kind == "ram":
        return Finished(source, recipe, Rooms(place, None), epochs)
    told = [LAYOUT, epochs, place.kept, *_how_decoded(recipe), str(recipe.mode), recipe.seed]
    return Finished(source, recipe, Rooms(place, _file(told, source, folder)), epochs)


def _how_decoded(recipe: Recipe) -> tuple[object, ...]:
    return recipe.size, recipe.crop, recipe.decoder, recipe.reduce


def _file(told: Sequence[object], source: Source, folder: str | Path | None) -> Path:
    root = cache_root() / "decoded" if folder is None else Path(folder)
    key = hashlib.sha256(json.dumps(list(told)).encode() + fingerprint(source)).hexdigest()[:20]
    return root / f"{key}.pixels"


def fingerprint(source: Source) -> bytes:
    """What the rows are: names, and sizes and times of files, so that a changed file is decoded anew."""
    told = hashlib.sha256()
    for row in range(len(source)):
        told.update(source.name(row).encode("utf-8", "surrogateescape") + b"\0")
        path = _path(source, row)
        if path is not None:
            try:
                found = os.stat(path, follow_symlinks=True)  # noqa: PTH116 - a path object per file is slow
            except (OSError, ValueError):  # it cannot be read either, and that is said when it is
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
    kept = len(source) if quota is None else min(len(source), quota // (room + BESIDE))
    return Place(max(kept, 0), room)
