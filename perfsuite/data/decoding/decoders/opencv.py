"""OpenCV's imdecode."""

from __future__ import annotations

from typing import Any

import numpy as np

from perfsuite.data.decoding.decoder import Decoder, Pixels
from perfsuite.data.decoding.fallback import fall_back_to_pillow


@fall_back_to_pillow(ValueError, complete_only=True)
def decode_with_opencv(data: bytes) -> Pixels:
    import cv2

    pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError("OpenCV gives no reason")
    rgb: Pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)
    return rgb


DECODER = Decoder(
    name="opencv",
    decode=decode_with_opencv,
    module="cv2",
    distribution="opencv-python-headless",
    extra="vision",
)
