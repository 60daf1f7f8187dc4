"""The settings that decide every pixel of a loader's images, together with row and epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from perfsuite.data.batch import BatchLayout
from perfsuite.data.decoding.registry import check_decoder_name
from perfsuite.data.faults import FaultPolicy, check_fault_policy
from perfsuite.data.sources.maps import MapSource
from perfsuite.errors import DataError
from perfsuite.transforms.augment.modes import AugmentationMode, get_mode

Crop = Literal["random", "center", "stretch"]
CROPS = ("random", "center", "stretch")


def check_whole_number(name: str, value: object) -> None:
    """Refuse what is no whole number, with a hint where a pair of sizes or a text is given."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return
    hint = "; images are square" if name == "image_size" and isinstance(value, (tuple, list)) else ""
    raise TypeError(f"{name}: {value!r}, expected a whole number{hint}")


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """How a loader makes an image: a pure function of these settings, the row and the epoch."""

    size: int = 224
    crop: Crop = "center"
    mode: AugmentationMode | str = "none"
    seed: int = 42
    on_error: FaultPolicy = "raise"
    refill: bool = False  # replace a skipped image by another, so that batches stay full
    decoder: str = "auto"
    scaled_decode: bool = False  # decode a large JPEG at 1/2, 1/4 or 1/8 of its size
    with_geometry: bool = False  # record each image's affine maps, so that labels can follow
    maps: MapSource | None = None

    def __post_init__(self) -> None:
        check_whole_number("image_size", self.size)
        if self.size < 1:
            raise ValueError(f"image_size: {self.size}, expected at least 1")
        if self.crop not in CROPS:
            raise ValueError(f"crop: {self.crop!r}, expected one of {', '.join(CROPS)}")
        check_fault_policy(self.on_error)
        get_mode(self.mode)
        check_decoder_name(self.decoder)

    @property
    def batch_layout(self) -> BatchLayout:
        map_dtype = None if self.maps is None else torch.from_numpy(np.empty(0, self.maps.dtype)).dtype
        return BatchLayout(self.size, self.with_geometry, map_dtype)

    def check_decoded_cache(self, cached: ImageConfig) -> None:
        """Raise a DataError if decoded images of a cache with `cached` cannot serve this loader."""
        if (cached.crop, cached.size) != (self.crop, self.size):
            raise DataError(
                f"cache: it has images for crop {cached.crop!r} at {cached.size} pixels, the loader needs "
                f"{self.crop!r} at {self.size}; build it with the loader's ImageConfig"
            )

    def check_augmented_cache(self, cached: ImageConfig) -> None:
        """Raise a DataError unless a cache of augmented images was built with these very settings."""
        if cached != self:
            raise DataError(
                "cache: its augmented images were made with another ImageConfig than the loader's; "
                "build it with the loader's"
            )
