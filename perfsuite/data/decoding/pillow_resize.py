"""Crop and resize decoded pixels with Pillow: the reference for perfsuite.data.decoding.resample."""

from __future__ import annotations

import numpy as np
from PIL import Image

from perfsuite.data.crop import CropWindow
from perfsuite.data.decoding.decoder import Pixels


def resize_with_pillow(pixels: Pixels, window: CropWindow, out: Pixels) -> None:
    """Write the window of decoded pixels into `out`."""
    left, top, width, height = window.box
    image = Image.fromarray(pixels[top : top + height, left : left + width])
    if window.resized_size == window.size:
        image = image.resize(window.size, Image.Resampling.BILINEAR)
    else:
        # Resizing a part of the box gives the same pixels as resizing all of it and cropping afterward.
        scale_x, scale_y = width / window.resized_size[0], height / window.resized_size[1]
        x, y = window.offset
        box = (x * scale_x, y * scale_y, (x + window.size[0]) * scale_x, (y + window.size[1]) * scale_y)
        image = image.resize(window.size, Image.Resampling.BILINEAR, box=box)
    resized = np.asarray(image)
    out[:] = resized[:, ::-1] if window.mirror else resized
