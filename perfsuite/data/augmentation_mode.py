"""`augmentation_mode` of `make_loaders`: how each mode crops and augments the training images."""

from __future__ import annotations

from dataclasses import replace

from perfsuite.data.image_config import Crop, ImageConfig
from perfsuite.transforms.augment.modes import MODES, AugmentationMode, get_mode
from perfsuite.transforms.augment.operations.mirror import Mirror

# The name of the default: a random crop and a mirror. Other modes add operations to the crop.
MIRROR_ONLY = "mirror"


def training_config(image_config: ImageConfig, mode: str | AugmentationMode, crop: Crop) -> ImageConfig:
    """The settings of the training images, from those of validation; "none" keeps their crop."""
    if mode == MIRROR_ONLY:
        mode = AugmentationMode(MIRROR_ONLY, (Mirror(),))
    if not isinstance(mode, AugmentationMode) and mode not in MODES:
        raise ValueError(
            f"augmentation_mode: {mode!r}, expected one of {', '.join((*MODES, MIRROR_ONLY))}; leave it out "
            f"for {MIRROR_ONLY!r}, or give 'none' for the same crop in every epoch"
        )
    if mode == "none":
        return replace(image_config, refill=True)
    return replace(image_config, crop=crop, mode=mode, refill=True)


def may_mirror(mode: str | AugmentationMode) -> bool:
    """Whether a mode mirrors some images."""
    return any(
        isinstance(operation, Mirror) and operation.probability > 0 for operation in get_mode(mode).operations
    )
