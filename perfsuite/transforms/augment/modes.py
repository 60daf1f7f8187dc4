"""The augmentation modes: which operations each has, and the range of each.

Every mode leaves the size of an image as it is: the loader resizes first. An operation gives the same
result in every implementation (OpenCV, torch, Triton):

1. Geometry: zoom, rotation, quarter turns, mirror and shift are one affine map, sampled once: bilinear, pixel
   centers at half integers, no antialiasing (zooms stay near 1); what lies outside is `fill`, in pixel units.
   Mirrors and quarter turns alone move pixels and change none.
2. Color, as torchvision's ColorJitter on bytes in the order brightness, contrast (about the mean gray of the
   image), saturation (about the gray of each pixel); gray is 0.299 R + 0.587 G + 0.114 B.
3. Erasing: a rectangle becomes `fill`.

Geometry, brightness, contrast and saturation each round half to even and clamp to 0..255.

>>> [(name, len(mode.operations)) for name, mode in MODES.items()]
[('none', 0), ('conservative', 3), ('moderate', 6), ('aggressive', 8)]
"""

from __future__ import annotations

from dataclasses import dataclass

from perfsuite.transforms.augment.operations.base import AugmentOperation
from perfsuite.transforms.augment.operations.brightness import Brightness
from perfsuite.transforms.augment.operations.contrast import Contrast
from perfsuite.transforms.augment.operations.erase import Erase
from perfsuite.transforms.augment.operations.mirror import Mirror
from perfsuite.transforms.augment.operations.rotate import Rotate
from perfsuite.transforms.augment.operations.saturation import Saturation
from perfsuite.transforms.augment.operations.shift import Shift
from perfsuite.transforms.augment.operations.zoom import Zoom


@dataclass(frozen=True, slots=True)
class AugmentationMode:
    """A name and operations, each at most once."""

    name: str
    operations: tuple[AugmentOperation, ...]

    def __post_init__(self) -> None:
        kinds = [type(operation).__name__ for operation in self.operations]
        if len(kinds) != len(set(kinds)):
            raise ValueError(f"mode {self.name}: {', '.join(kinds)}, expected each operation at most once")

    @property
    def may_mirror(self) -> bool:
        """Whether it mirrors some images."""
        return any(isinstance(each, Mirror) and each.probability > 0 for each in self.operations)


# What loaders apply in training where no mode is named. Other modes have more operations.
MIRROR = AugmentationMode("mirror", (Mirror(),))
MODES = {
    mode.name: mode
    for mode in (
        AugmentationMode("none", ()),
        AugmentationMode("conservative", (Mirror(), Brightness(0.9, 1.1), Contrast(0.9, 1.1))),
        AugmentationMode(
            "moderate",
            (
                Mirror(),
                Rotate(15),
                Zoom(0.9, 1.1),
                Brightness(0.8, 1.2),
                Contrast(0.8, 1.2),
                Saturation(0.8, 1.2),
            ),
        ),
        AugmentationMode(
            "aggressive",
            (
                Mirror(),
                Rotate(30),
                Zoom(0.8, 1.25),
                Shift(0.1),
                Brightness(0.6, 1.4),
                Contrast(0.6, 1.4),
                Saturation(0.6, 1.4),
                Erase(),
            ),
        ),
    )
}


def get_mode(mode: AugmentationMode | str) -> AugmentationMode:
    """A mode by its name, or the mode itself."""
    if isinstance(mode, AugmentationMode):
        return mode
    if mode not in MODES:
        raise ValueError(f"augmentation mode {mode!r}, expected one of {', '.join(MODES)}")
    return MODES[mode]
