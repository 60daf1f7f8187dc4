"""How every image of a loader is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from perfsuite.data.batch import BatchLayout
from perfsuite.data.faults import FaultPolicy, check_fault_policy
from perfsuite.data.sources.maps import MapSource
from perfsuite.errors import DataError
from perfsuite.transforms.augment.modes import AugmentationMode, get_mode

Crop = Literal["random", "center", "whole"]
CROPS = ("random", "center", "whole")


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """How every image of a loader is made; with a row and an epoch it decides every pixel."""

    size: int = 224
    crop: Crop = "center"
    mode: AugmentationMode | str = "none"
    seed: int = 42
    on_error: FaultPolicy = "raise"
    refill: bool = False  # a skipped image is replaced by another, so that batches stay full
    decoder: str = "auto"
    reduce: bool = False  # decode a large JPEG at 1/2, 1/4 or 1/8 first
    with_geometry: bool = False  # say of each image how it was moved, so that its labels can follow
    maps: MapSource | None = None

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"image_size: {self.size}, expected at least 1")
        if self.crop not in CROPS:
            raise ValueError(f"crop: {self.crop!r}, expected one of {', '.join(CROPS)}")
        check_fault_policy(self.on_error)
        get_mode(self.mode)

    @property
    def batch_layout(self) -> BatchLayout:
        return BatchLayout(self.size, self.with_geometry, self.maps is not None)

    def check_cache_compatible(self, kept_by: ImageConfig, finished: bool) -> None:
        """That what a cache keeps by its recipe is what this one shows."""
        if finished and kept_by != self:
            raise DataError("cache: finished images were kept by another recipe than the loader's")
        if (kept_by.crop, kept_by.size) != (self.crop, self.size):
            raise DataError(
                f"cache: keeps images for crop {kept_by.crop!r} at {kept_by.size} pixels, the loader shows "
                f"{self.crop!r} at {self.size}; make it with the loader's recipe"
            )
