"""Sources that cache: images are decoded once, or augmented once, and shared by all workers.

A cache fills and never evicts: with random access, eviction removes the images that are needed next. Images
that do not fit are decoded each time, as without a cache.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from perfsuite.data.cache.protocol import CacheImageMaker
from perfsuite.data.cache.storage import CachedImage, PixelStorage, StorageLayout
from perfsuite.data.cache_root import cache_root
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.sources.base import ImageSource, VersionedSource, read_row
from perfsuite.data.sources.splits import Split

CACHE_KINDS = ("ram", "disk")
# Raised when the same ImageConfig gives other pixels, so that caches of older versions are not used.
FORMAT_VERSION = 2
# A slot fits images of up to 3:2 at the cached shorter side; a longer image is stored smaller.
MAX_ASPECT_RATIO = 1.5


class CachedSource:
    """A source with storage for images made from it."""

    def __init__(self, source: ImageSource, image_config: ImageConfig, storage: PixelStorage) -> None:
        self._source, self.image_config, self._storage = source, image_config, storage

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
        """Images stored so far."""
        return self._storage.cached_count

    @property
    def capacity(self) -> int:
        """Images that fit."""
        return self._storage.layout.capacity


class DecodedCache(CachedSource):
    """A source that stores decoded images. Pass it to `make_loaders` in place of its source.

    The crops "center" and "stretch" are stored cropped. For random crops the whole image is stored with
    `shorter_side` pixels on its shorter side.
    """

    def __init__(
        self, source: ImageSource, image_config: ImageConfig, storage: PixelStorage, shorter_side: int
    ) -> None:
        super().__init__(source, image_config, storage)
        self._shorter_side = shorter_side

    def get_decoded(self, row: int, maker: CacheImageMaker) -> CachedImage | None:
        """Return the stored image, decoding and storing it first if necessary; None if it has no slot."""
        if row >= self.capacity:
            return None
        image = self._storage.get(row)
        if image is None:
            slot_bytes = self._storage.layout.slot_bytes
            image = maker.prepare_for_cache(read_row(self._source, row), self._shorter_side, slot_bytes)
            self._storage.put(row, image)
        return image


class AugmentedCache(CachedSource):
    """A source that stores cropped and augmented images of some epochs, and repeats them.

    The ImageConfig must equal the loader's. Epoch number `epochs` repeats the images of epoch 0 in another
    order.
    """

    def __init__(
        self, source: ImageSource, image_config: ImageConfig, storage: PixelStorage, epochs: int
    ) -> None:
        super().__init__(source, image_config, storage)
        self.epochs = epochs

    def get_augmented(self, row: int, epoch: int) -> CachedImage | None:
        return self._storage.get(row * self.epochs + epoch)

    def put_augmented(self, row: int, epoch: int, image: CachedImage) -> None:
        self._storage.put(row * self.epochs + epoch, image)


def cache_splits(
    kind: str,
    sources: Mapping[Split, ImageSource],
    image_configs: Mapping[Split, ImageConfig],
    epochs: int = 0,
) -> dict[Split, ImageSource]:
    """Give each split a cache; training gets one of augmented images if `epochs` is not 0.

    In memory, the splits share half of the free memory in proportion to their images.
    """
    if kind not in CACHE_KINDS:
        raise ValueError(f"cache: {kind!r}, expected one of {', '.join(CACHE_KINDS)}, or None")
    images = {
        split: len(source) * (epochs or 1 if split == "train" else 1) for split, source in sources.items()
    }
    free = _default_quota_bytes(kind)
    cached: dict[Split, ImageSource] = {}
    for split, source in sources.items():
        quota = None if free is None else free * images[split] // max(1, sum(images.values()))
        if split == "train" and epochs:
            cached[split] = augmented_cache(source, image_configs[split], epochs, kind, quota)
        elif kind == "disk":
            cached[split] = disk_cache(source, image_configs[split])
        else:
            cached[split] = ram_cache(source, image_configs[split], quota_bytes=quota)
    return cached


def ram_cache(
    source: ImageSource, image_config: ImageConfig, shorter_side: int = 256, quota_bytes: int | None = None
) -> DecodedCache:
    """Cache decoded images in memory that threads and forked workers share.

    The default quota is half of the free memory.
    """
    quota = _default_quota_bytes("ram") if quota_bytes is None else quota_bytes
    layout = _decoded_layout(source, image_config, shorter_side, quota)
    return DecodedCache(source, image_config, PixelStorage(layout, None), shorter_side)


def disk_cache(
    source: ImageSource,
    image_config: ImageConfig,
    shorter_side: int = 256,
    quota_bytes: int | None = None,
    folder: str | Path | None = None,
) -> DecodedCache:
    """Cache decoded images in a file, which is reused for the same source and settings, also after a kill."""
    layout = _decoded_layout(source, image_config, shorter_side, quota_bytes)
    key = [FORMAT_VERSION, shorter_side, layout.capacity, layout.slot_bytes, *_decoding_key(image_config)]
    storage = PixelStorage(layout, _cache_path(key, source, folder))
    return DecodedCache(source, image_config, storage, shorter_side)


def augmented_cache(
    source: ImageSource,
    image_config: ImageConfig,
    epochs: int,
    kind: str = "ram",
    quota_bytes: int | None = None,
    folder: str | Path | None = None,
) -> AugmentedCache:
    """Cache augmented images of the first `epochs` epochs, filled while training uses them."""
    if epochs < 1:
        raise ValueError(f"cache: {epochs} epochs, expected at least 1")
    quota = _default_quota_bytes(kind) if quota_bytes is None else quota_bytes
    layout = StorageLayout.fit(len(source) * epochs, image_config.size**2 * 3, quota)
    if kind == "ram":
        return AugmentedCache(source, image_config, PixelStorage(layout, None), epochs)
    key = [
        FORMAT_VERSION,
        epochs,
        layout.capacity,
        *_decoding_key(image_config),
        str(image_config.mode),
        image_config.seed,
    ]
    storage = PixelStorage(layout, _cache_path(key, source, folder))
    return AugmentedCache(source, image_config, storage, epochs)


def _default_quota_bytes(kind: str) -> int | None:
    """Half of the free memory; no quota on disk."""
    return int(psutil.virtual_memory().available // 2) if kind == "ram" else None


def _decoded_layout(
    source: ImageSource, image_config: ImageConfig, shorter_side: int, quota_bytes: int | None
) -> StorageLayout:
    is_random = image_config.crop == "random"
    if shorter_side < 1 or (is_random and shorter_side < image_config.size // 2):
        raise ValueError(
            f"cache: shorter_side {shorter_side}, expected about the loader's image size, {image_config.size}"
        )
    pixels = int(shorter_side * shorter_side * MAX_ASPECT_RATIO) if is_random else image_config.size**2
    return StorageLayout.fit(len(source), 3 * pixels, quota_bytes)


def _decoding_key(image_config: ImageConfig) -> tuple[object, ...]:
    return image_config.size, image_config.crop, image_config.decoder, image_config.scaled_decode


def _cache_path(key: Sequence[object], source: ImageSource, folder: str | Path | None) -> Path:
    root = cache_root() / "decoded" if folder is None else Path(folder)
    digest = hashlib.sha256(json.dumps(list(key)).encode() + source_fingerprint(source)).hexdigest()[:20]
    return root / f"{digest}.pixels"


def source_fingerprint(source: ImageSource) -> bytes:
    """Hash the rows' names and versions, so that an image that has changed is decoded again."""
    digest = hashlib.sha256()
    for row in range(len(source)):
        digest.update(source.name(row).encode("utf-8", "surrogateescape") + b"\0")
        if isinstance(source, VersionedSource):
            digest.update(source.version(row).encode())
    return digest.digest()
