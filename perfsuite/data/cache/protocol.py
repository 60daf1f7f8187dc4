"""What a source that caches offers to an `ImageMaker`, besides the methods of any source."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from perfsuite.data.cache.storage import CachedImage
from perfsuite.data.image_config import ImageConfig


class CacheImageMaker(Protocol):
    """Decodes an image into the form that a cache stores."""

    def prepare_for_cache(self, data: bytes, shorter_side: int, slot_bytes: int) -> CachedImage: ...


@runtime_checkable
class DecodedImageCache(Protocol):
    """A source that stores decoded images."""

    @property
    def image_config(self) -> ImageConfig: ...

    def get_decoded(self, row: int, maker: CacheImageMaker) -> CachedImage | None:
        """Return the stored image, decoding and storing it first if necessary; None if it has no slot."""
        ...


@runtime_checkable
class AugmentedImageCache(Protocol):
    """A source that stores cropped and augmented images of the epochs 0 to `epochs` - 1."""

    @property
    def image_config(self) -> ImageConfig: ...

    @property
    def epochs(self) -> int: ...

    def get_augmented(self, row: int, epoch: int) -> CachedImage | None: ...

    def put_augmented(self, row: int, epoch: int, image: CachedImage) -> None: ...
