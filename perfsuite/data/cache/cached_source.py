"""Images decoded once, or finished once: kept in memory that all workers share or in a mapped file.

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

from perfsuite.data.cache.storage import SLOT_OVERHEAD_BYTES, CachedImage, PixelStorage, StorageLayout
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.image_maker import ImageMaker
from perfsuite.data.sources.files import FileSource, ImageSource, Subset
from perfsuite.data.synthetic.dataset import cache_root

CACHE_KINDS = ("ram", "disk")
# Raised when the same recipe would give other pixels, so that what older versions decoded is not used.
FORMAT_VERSION = 2
# Room for images of up to 3:2 at the cached shorter side; a longer one is kept a little smaller.
MAX_ASPECT_RATIO = 1.5


class CachedSource:
    """A source with rooms for what is made of its images."""

    def __init__(self, source: ImageSource, recipe: ImageConfig, rooms: PixelStorage) -> None:
        self._source, self.recipe, self._storage = source, recipe, rooms

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
    def cached_count(self) -> int:
        """Images that are kept already."""
        return self._storage.cached_count

    @property
    def capacity(self) -> int:
        """Images that there is room for."""
        return self._storage.layout.capacity


class DecodedCache(CachedSource):
    """A source that keeps decoded images; give it to `make_loaders` in the place of the source.

    What depends on nothing random (center, whole) is kept as it is shown. For random crops the whole image
    is kept at `side` pixels on its shorter side.
    """

    def __init__(self, source: ImageSource, recipe: ImageConfig, rooms: PixelStorage, side: int) -> None:
        super().__init__(source, recipe, rooms)
        self._side = side

    def decoded(self, row: int, maker: ImageMaker) -> CachedImage | None:
        """The kept image, decoded now if it was not; None where there is no room for it."""
        if row >= self.capacity:
            return None
        found = self._storage.get(row)
        if found is None:
            room_bytes = self._storage.layout.slot_bytes
            found = maker.prepare_for_cache(self._source.read(row), self._side, room_bytes)
            self._storage.put(row, found)
        return found


class AugmentedCache(CachedSource):
    """A source that keeps finished images, cropped and augmented, of so many epochs, and shows them again.

    The recipe must be the loader's own. Epoch `epochs` shows what epoch 0 showed, in another order.
    """

    def __init__(self, source: ImageSource, recipe: ImageConfig, rooms: PixelStorage, epochs: int) -> None:
        super().__init__(source, recipe, rooms)
        self.epochs = epochs

    def finished(self, row: int, epoch: int) -> CachedImage | None:
        return self._storage.get(row * self.epochs + epoch)

    def finish(self, row: int, epoch: int, made: CachedImage) -> None:
        self._storage.put(row * self.epochs + epoch, made)


def cache_splits(
    kind: str, parts: Mapping[str, ImageSource], recipes: Mapping[str, ImageConfig], epochs: int = 0
) -> dict[str, ImageSource]:
    """Each part with a cache of its own, finished images of so many epochs for the part that is shuffled.

    In memory they share half of what is free, by their images.
    """
    if kind not in CACHE_KINDS:
        raise ValueError(f"cache: {kind!r}, expected one of {', '.join(CACHE_KINDS)}, or None")
    images = {name: len(part) * (epochs or 1 if name == "train" else 1) for name, part in parts.items()}
    free = psutil.virtual_memory().available // 2 if kind == "ram" else None
    cached: dict[str, ImageSource] = {}
    for name, part in parts.items():
        quota = None if free is None else free * images[name] // max(1, sum(images.values()))
        if name == "train" and epochs:
            cached[name] = augmented_cache(part, recipes[name], epochs, kind, quota)
        elif kind == "disk":
            cached[name] = disk_cache(part, recipes[name])
        else:
            cached[name] = ram_cache(part, recipes[name], quota_bytes=quota)
    return cached


def ram_cache(
    source: ImageSource, recipe: ImageConfig, side: int = 256, quota_bytes: int | None = None
) -> DecodedCache:
    """Keep decoded images in memory that threads and forked workers share; at most half of what is free."""
    quota = psutil.virtual_memory().available // 2 if quota_bytes is None else quota_bytes
    return DecodedCache(
        source, recipe, PixelStorage(_storage_layout(source, recipe, side, quota), None), side
    )


def disk_cache(
    source: ImageSource,
    recipe: ImageConfig,
    side: int = 256,
    quota_bytes: int | None = None,
    folder: str | Path | None = None,
) -> DecodedCache:
    """Keep decoded images in a file: found again by source and settings, and gone on with after a kill."""
    place = _storage_layout(source, recipe, side, quota_bytes)
    told = [FORMAT_VERSION, side, place.capacity, place.slot_bytes, *_decoding_key(recipe)]
    return DecodedCache(source, recipe, PixelStorage(place, _cache_path(told, source, folder)), side)


def augmented_cache(
    source: ImageSource,
    recipe: ImageConfig,
    epochs: int,
    kind: str = "ram",
    quota_bytes: int | None = None,
    folder: str | Path | None = None,
) -> AugmentedCache:
    """Keep finished images of so many epochs: a data set augmented beforehand, made as it is trained on."""
    if epochs < 1:
        raise ValueError(f"cache: {epochs} epochs, expected at least 1")
    room = -(-(recipe.size**2 * 3) // 64) * 64
    kept = len(source) * epochs
    if kind == "ram" and quota_bytes is None:
        quota_bytes = psutil.virtual_memory().available // 2
    if quota_bytes is not None:
        kept = min(kept, quota_bytes // (room + SLOT_OVERHEAD_BYTES))
    place = StorageLayout(kept, room)
    if kind == "ram":
        return AugmentedCache(source, recipe, PixelStorage(place, None), epochs)
    told = [FORMAT_VERSION, epochs, place.capacity, *_decoding_key(recipe), str(recipe.mode), recipe.seed]
    return AugmentedCache(source, recipe, PixelStorage(place, _cache_path(told, source, folder)), epochs)


def _decoding_key(recipe: ImageConfig) -> tuple[object, ...]:
    return recipe.size, recipe.crop, recipe.decoder, recipe.reduce


def _cache_path(told: Sequence[object], source: ImageSource, folder: str | Path | None) -> Path:
    root = cache_root() / "decoded" if folder is None else Path(folder)
    key = hashlib.sha256(json.dumps(list(told)).encode() + source_fingerprint(source)).hexdigest()[:20]
    return root / f"{key}.pixels"


def source_fingerprint(source: ImageSource) -> bytes:
    """What the rows are: names, and sizes and times of files, so that a changed file is decoded anew."""
    told = hashlib.sha256()
    for row in range(len(source)):
        told.update(source.name(row).encode("utf-8", "surrogateescape") + b"\0")
        path = _image_path(source, row)
        if path is not None:
            try:
                found = os.stat(path, follow_symlinks=True)  # noqa: PTH116 - a path object per file is slow
            except (OSError, ValueError):  # it cannot be read either, and that is said when it is
                continue
            told.update(f"{found.st_size},{found.st_mtime_ns};".encode())
    return told.digest()


def _image_path(source: ImageSource, row: int) -> str | None:
    if isinstance(source, Subset):
        return _image_path(source.source, int(source.rows[row]))
    return f"{source.root}/{source.names[row]}" if isinstance(source, FileSource) else None


def _storage_layout(source: ImageSource, recipe: ImageConfig, side: int, quota: int | None) -> StorageLayout:
    if side < 1 or (recipe.crop == "random" and side < recipe.size // 2):
        raise ValueError(f"cache: side {side}, expected about the size of the images shown ({recipe.size})")
    room = recipe.size**2 * 3 if recipe.crop != "random" else int(side * side * MAX_ASPECT_RATIO) * 3
    room = -(-room // 64) * 64
    kept = len(source) if quota is None else min(len(source), quota // (room + SLOT_OVERHEAD_BYTES))
    return StorageLayout(max(kept, 0), room)
