"""Parameters and modes as pipelines of other libraries, to compare images and to time in turns.

For one draw the images agree up to rounding: both libraries truncate where perfsuite rounds, albumentations
shifts by whole pixels, torchvision blends the fill into the edge twice. For a mode each library draws its own
random numbers from the same ranges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from perfsuite.errors import UsageError
from perfsuite.transforms.arrays import GRAY_FILL, ImageArray
from perfsuite.transforms.augment.modes import AugmentationMode, get_mode
from perfsuite.transforms.augment.operations.brightness import Brightness
from perfsuite.transforms.augment.operations.contrast import Contrast
from perfsuite.transforms.augment.operations.erase import Erase, erase_rectangle
from perfsuite.transforms.augment.operations.mirror import Mirror
from perfsuite.transforms.augment.operations.rotate import Rotate
from perfsuite.transforms.augment.operations.saturation import Saturation
from perfsuite.transforms.augment.operations.shift import Shift
from perfsuite.transforms.augment.operations.zoom import Zoom
from perfsuite.transforms.augment.parameters import AugmentationParameters


def albumentations_of_draw(
    parameters: AugmentationParameters, fill: int = GRAY_FILL
) -> Callable[[ImageArray], ImageArray]:
    """One transform for each operation, with a range that is only the drawn value."""
    import albumentations

    _reject_quarter_turns(parameters)
    steps = _affine_flip_and_jitter(
        degrees=(parameters.degrees, parameters.degrees),
        zoom=(parameters.zoom, parameters.zoom),
        shift_x=(parameters.shift_x, parameters.shift_x),
        shift_y=(parameters.shift_y, parameters.shift_y),
        mirror=float(parameters.mirror),
        color=((parameters.brightness,) * 2, (parameters.contrast,) * 2, (parameters.saturation,) * 2),
        fill=fill,
    )

    pipeline = albumentations.Compose(steps)

    def apply(image: ImageArray) -> ImageArray:
        augmented = np.array(pipeline(image=image)["image"])
        rectangle = erase_rectangle(parameters.values_of(Erase), *image.shape[:2])
        if rectangle is not None:
            top, left, bottom, right = rectangle
            augmented[top:bottom, left:right] = fill
        return augmented

    return apply


def albumentations_of_mode(mode: AugmentationMode | str, fill: int = GRAY_FILL) -> Any:
    """The mode in albumentations' fastest form: one affine and one jitter."""
    import albumentations

    operations: dict[type, Any] = {type(operation): operation for operation in get_mode(mode).operations}
    rotate, zoom, shift = operations.get(Rotate), operations.get(Zoom), operations.get(Shift)
    color = tuple(
        (operation.low, operation.high) if (operation := operations.get(kind)) is not None else (1.0, 1.0)
        for kind in (Brightness, Contrast, Saturation)
    )
    part = shift.max_fraction if shift else 0.0
    steps = _affine_flip_and_jitter(
        degrees=(-rotate.degrees, rotate.degrees) if rotate else (0.0, 0.0),
        zoom=(zoom.low, zoom.high) if zoom else (1.0, 1.0),
        shift_x=(-part, part),
        shift_y=(-part, part),
        mirror=operations[Mirror].probability if Mirror in operations else 0.0,
        color=color,
        fill=fill,
    )
    erase = operations.get(Erase)
    if erase is not None:
        sides = (erase.min_side_fraction, erase.max_side_fraction)
        steps.append(
            albumentations.CoarseDropout(
                num_holes_range=(1, 1),
                hole_height_range=sides,
                hole_width_range=sides,
                fill=fill,
                p=erase.probability,
            )
        )
    return albumentations.Compose(steps)


def _affine_flip_and_jitter(
    degrees: Any, zoom: Any, shift_x: Any, shift_y: Any, mirror: float, color: Any, fill: int
) -> list[Any]:
    """Rotation and zoom about the center, mirror, color. The shift is the one after the mirror."""
    import albumentations
    import cv2

    steps: list[Any] = []
    if (degrees, zoom, shift_x, shift_y) != ((0.0, 0.0), (1.0, 1.0), (0.0, 0.0), (0.0, 0.0)):
        side = -1 if mirror == 1.0 else 1
        steps.append(
            albumentations.Affine(
                rotate=degrees,
                scale=zoom,
                translate_percent={"x": tuple(sorted(side * s for s in shift_x)), "y": shift_y},
                interpolation=cv2.INTER_LINEAR,
                border_mode=cv2.BORDER_CONSTANT,
                fill=fill,
                p=1.0,
            )
        )
    if mirror:
        steps.append(albumentations.HorizontalFlip(p=mirror))
    fixed = all(low == high for low, high in color)
    for jitter in _one_jitter_per_factor(color) if fixed else [color]:
        if jitter != ((1.0, 1.0),) * 3:
            steps.append(
                albumentations.ColorJitter(
                    brightness=jitter[0], contrast=jitter[1], saturation=jitter[2], hue=(0.0, 0.0), p=1.0
                )
            )
    return steps


def _one_jitter_per_factor(color: Any) -> list[Any]:
    """albumentations jitters in a random order; one transform for each factor keeps the order fixed."""
    none = (1.0, 1.0)
    return [(color[0], none, none), (none, color[1], none), (none, none, color[2])]


def torchvision_of_draw(
    parameters: AugmentationParameters, fill: int = GRAY_FILL
) -> Callable[[torch.Tensor], torch.Tensor]:
    """torchvision v2's functions in perfsuite's order, on uint8 (..., 3, H, W)."""
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as tv

    _reject_quarter_turns(parameters)

    def apply(images: torch.Tensor) -> torch.Tensor:
        h, w = images.shape[-2:]
        side = -1 if parameters.mirror else 1
        if (parameters.degrees, parameters.zoom, parameters.shift_x, parameters.shift_y) != (
            0.0,
            1.0,
            0.0,
            0.0,
        ):
            images = tv.affine(
                images,
                angle=-parameters.degrees,
                translate=[side * parameters.shift_x * w, parameters.shift_y * h],
                scale=parameters.zoom,
                shear=[0.0, 0.0],
                interpolation=InterpolationMode.BILINEAR,
                fill=float(fill),
            )
        if parameters.mirror:
            images = tv.horizontal_flip(images)
        images = tv.adjust_brightness(images, parameters.brightness)
        images = tv.adjust_contrast(images, parameters.contrast)
        images = tv.adjust_saturation(images, parameters.saturation)
        rectangle = erase_rectangle(parameters.values_of(Erase), h, w)
        if rectangle is not None:
            top, left, bottom, right = rectangle
            value = torch.full((1, 1, 1), fill, dtype=images.dtype, device=images.device)
            images = tv.erase(images, top, left, bottom - top, right - left, value)
        return images

    return apply


def torchvision_of_mode(mode: AugmentationMode | str, fill: int = GRAY_FILL) -> Any:
    """The mode as torchvision v2 modules, which draw once for a whole batch."""
    from torchvision.transforms import v2

    steps: list[Any] = []
    operations: dict[type, Any] = {type(operation): operation for operation in get_mode(mode).operations}
    rotate, zoom, shift = operations.get(Rotate), operations.get(Zoom), operations.get(Shift)
    if rotate or zoom or shift:
        steps.append(
            v2.RandomAffine(
                degrees=rotate.degrees if rotate else 0,
                translate=(shift.max_fraction, shift.max_fraction) if shift else None,
                scale=(zoom.low, zoom.high) if zoom else None,
                interpolation=v2.InterpolationMode.BILINEAR,
                fill=fill,
            )
        )
    if Mirror in operations:
        steps.append(v2.RandomHorizontalFlip(operations[Mirror].probability))
    ranges = {
        kind.__name__.lower(): (operation.low, operation.high)
        for kind in (Brightness, Contrast, Saturation)
        if (operation := operations.get(kind)) is not None
    }
    if ranges:
        steps.append(v2.ColorJitter(**ranges))
    erase = operations.get(Erase)
    if erase is not None:
        area = (erase.min_side_fraction**2, erase.max_side_fraction**2)
        steps.append(v2.RandomErasing(p=erase.probability, scale=area, value=fill))
    return v2.Compose(steps or [v2.Identity()])


def _reject_quarter_turns(parameters: AugmentationParameters) -> None:
    if parameters.quarter_turns:
        raise UsageError(
            "augmentation peer: a draw with quarter turns, expected none; use numpy.rot90 or torch.rot90"
        )
