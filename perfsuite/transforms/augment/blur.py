"""Gaussian blur of one image on the CPU. Augmentation modes cannot use it: it mixes neighboring pixels.

>>> blur(np.full((5, 5, 3), 7, dtype=np.uint8), sigma=1.0)[2, 2].tolist()
[7, 7, 7]
"""

from __future__ import annotations

import numpy as np

from perfsuite.errors import UsageError
from perfsuite.transforms.arrays import ImageArray


def blur(image: ImageArray, sigma: float) -> ImageArray:
    """Blur with a Gaussian of this deviation in pixels, cut at four; the edge is reflected."""
    if sigma < 0:
        raise UsageError(f"blur: sigma {sigma}, expected 0 or more")
    if sigma == 0:
        return image
    import cv2

    side = 2 * round(4 * sigma) + 1
    blurred = cv2.GaussianBlur(image, (side, side), sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, dtype=np.uint8)
