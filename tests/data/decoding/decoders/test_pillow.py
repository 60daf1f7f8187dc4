from __future__ import annotations

import numpy as np
from PIL import Image

from perfsuite.data.decoding.decoders.pillow import decode_with_pillow
from tests.data.images import encode


def test_the_upper_8_of_16_bits_remain() -> None:
    values = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8)
    decoded = decode_with_pillow(encode(Image.fromarray(values), "PNG"))
    np.testing.assert_array_equal(decoded[:, :, 0], values >> 8)
