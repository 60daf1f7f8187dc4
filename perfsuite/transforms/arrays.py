"""Array types and pixel constants that the transforms share."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

ImageArray: TypeAlias = NDArray[np.uint8]  # height x width x channels
FloatArray: TypeAlias = NDArray[np.float64]
Matrix: TypeAlias = NDArray[np.float64]  # 3 x 3, homogeneous pixel coordinates

# The value, in pixel units, of whatever lies outside an image.
GRAY_FILL: Final = 128
# The weights of red, green and blue in gray: Rec. 601, as in OpenCV and Pillow.
LUMA_WEIGHTS: Final = (0.299, 0.587, 0.114)
