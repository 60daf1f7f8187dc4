"""Augment one image on the CPU: uint8, height x width x 3.

>>> image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
>>> augment_image(AugmentationParameters(mirror=True), image)[0, 0].tolist()
[9, 10, 11]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from perfsuite.transforms.arrays import GRAY_FILL, ImageArray
from perfsuite.transforms.augment.affine import AffineParameters
from perfsuite.transforms.augment.operations.registry import COLUMNS, IDENTITY_VALUES, PIXEL_OPERATIONS
from perfsuite.transforms.augment.parameters import AugmentationParameters, BatchParameters
from perfsuite.transforms.optional_libraries import import_opencv

if TYPE_CHECKING:
    import torch

_PIXEL_COLUMNS = tuple(
    (operation, COLUMNS[operation], IDENTITY_VALUES[COLUMNS[operation]]) for operation in PIXEL_OPERATIONS
)


def augment_image(parameters: AugmentationParameters, image: ImageArray, fill: int = GRAY_FILL) -> ImageArray:
    """The augmented image, in new memory unless the parameters change nothing. `fill` is in pixel units."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f"augment: image is {image.dtype} {image.shape}, expected uint8 of height x width x 3"
        )
    warped = warp_image(parameters, image, fill)
    return apply_pixel_operations(parameters, warped, fill, may_write=warped is not image)


def warp_image(parameters: AugmentationParameters, image: ImageArray, fill: int = GRAY_FILL) -> ImageArray:
    """Apply only the geometric operations."""
    affine = parameters.affine
    if affine.is_pixel_permutation:
        return _permute_pixels(affine, image)
    cv2 = import_opencv()
    if cv2 is None:
        return _warp_with_torch(parameters, image, fill)
    height, width = image.shape[:2]
    (xx, xy, x0), (yx, yy, y0) = affine.inverse_coefficients(height, width)
    # OpenCV counts from pixel centers.
    from_centers = np.array([(xx, xy, x0 + (xx + xy - 1) / 2), (yx, yy, y0 + (yx + yy - 1) / 2)])
    out_height, out_width = affine.output_size(height, width)
    # Sampling four channels is faster than three, by more than the two conversions take.
    warped = cv2.warpAffine(
        cv2.cvtColor(image, cv2.COLOR_RGB2RGBA),
        from_centers,
        (out_width, out_height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(fill, fill, fill, fill),
    )
    return np.asarray(cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB), dtype=np.uint8)


def _permute_pixels(affine: AffineParameters, image: ImageArray) -> ImageArray:
    turned = np.rot90(image, int(affine.quarter_turns)) if affine.quarter_turns else image
    cv2 = import_opencv()
    if cv2 is not None and affine.mirror:
        return np.asarray(cv2.flip(np.ascontiguousarray(turned), 1), dtype=np.uint8)
    return np.ascontiguousarray(turned[:, ::-1] if affine.mirror else turned)


def apply_pixel_operations(
    parameters: AugmentationParameters, image: ImageArray, fill: int = GRAY_FILL, *, may_write: bool = False
) -> ImageArray:
    """Apply the other operations: color and erasing. `may_write` allows changing `image`."""
    given = image
    for operation, columns, identity in _PIXEL_COLUMNS:
        values = parameters[columns]
        if values == identity:
            continue
        if import_opencv() is None:
            image = _apply_with_torch(operation, values, image, fill)
        else:
            image = operation.apply_cpu(image, values, fill, may_write=may_write or image is not given)
    return image


def _warp_with_torch(parameters: AugmentationParameters, image: ImageArray, fill: int) -> ImageArray:
    from perfsuite.transforms.augment.device import warp_batch
    from perfsuite.transforms.augment.device_parameters import upload_parameters

    inverse_affine = upload_parameters(BatchParameters.of([parameters]), *image.shape[:2]).inverse_affine
    return _as_image(warp_batch(_as_batch(image), inverse_affine, fill))


def _apply_with_torch(operation: Any, values: tuple[float, ...], image: ImageArray, fill: int) -> ImageArray:
    import torch

    prepared = operation.device_parameters(np.array([values]), *image.shape[:2])
    columns = torch.from_numpy(prepared.astype(np.float32)).view(-1, 1, 1, 1, 1).unbind()
    return _as_image(operation.apply_torch(_as_batch(image).float(), columns, fill))


def _as_batch(image: ImageArray) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]


def _as_image(batch: torch.Tensor) -> ImageArray:
    return np.ascontiguousarray(batch[0].permute(1, 2, 0).numpy().astype(np.uint8))
