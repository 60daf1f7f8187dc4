"""How every picture of a loader is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from perfsuite.data.faults import Policy, check_policy
from perfsuite.data.maps import Maps
from perfsuite.data.slots import Wanted
from perfsuite.errors import DataError
from perfsuite.transforms.modes import Mode, mode_of

Crop = Literal["random", "centre", "whole"]
CROPS = ("random", "centre", "whole")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How every picture of a loader is made; with a row and an epoch it decides every pixel."""

    size: int = 224
    crop: Crop = "centre"
    mode: Mode | str = "none"
    seed: int = 42
    on_error: Policy = "raise"
    refill: bool = False  # a skipped picture is replaced by another, so that batches stay full
    decoder: str = "auto"
    reduce: bool = False  # decode a large JPEG at 1/2, 1/4 or 1/8 first
    places: bool = False  # say of each picture how it was moved, so that its labels can follow
    maps: Maps | None = None

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"image_size: {self.size}, expected at least 1")
        if self.crop not in CROPS:
            raise ValueError(f"crop: {self.crop!r}, expected one of {', '.join(CROPS)}")
        check_policy(self.on_error)
        mode_of(self.mode)

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.size, self.places, self.maps is not None)

    def check_kept(self, kept_by: Recipe, finished: bool) -> None:
        """That what a cache keeps by its recipe is what this one shows."""
        if finished and kept_by != self:
            raise DataError("cache: finished pictures were kept by another recipe than the loader's")
        if (kept_by.crop, kept_by.size) != (self.crop, self.size):
            raise DataError(
                f"cache: keeps pictures for crop {kept_by.crop!r} at {kept_by.size} pixels, the loader shows "
                f"{self.crop!r} at {self.size}; make it with the loader's recipe"
            )
