"""`augmentation_mode` of `make_loaders`: how each mode crops and augments the training images."""

from __future__ import annotations

from dataclasses import replace

from perfsuite.data.image_config import Crop, ImageConfig
from perfsuite.transforms.augment.modes import MIRROR, MODES, AugmentationMode


def training_config(image_config: ImageConfig, mode: str | AugmentationMode, crop: Crop) -> ImageConfig:
    """The settings of the training images, from those of validation; "none" keeps their crop."""
    if mode == MIRROR.name:
        mode = MIRROR
    if not isinstance(mode, AugmentationMode) and mode not in MODES:
        raise ValueError(
            f"augmentation_mode: {mode!r}, expected one of {', '.join((*MODES, MIRROR.name))}; leave it out "
            f"for {MIRROR.name!r}, or give 'none' for the same crop in every epoch"
        )
    if mode == "none":
        return replace(image_config, refill=True)
    return replace(image_config, crop=crop, mode=mode, refill=True)
