"""Pillow: the reference decoder, for every accepted format."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps

from perfsuite.data.decoding.decoder import Decoder, Pixels, image_errors
from perfsuite.data.decoding.orientation import EXIF_ORIENTATION
from perfsuite.data.image_file import open_image


def decode_with_pillow(data: bytes) -> Pixels:
    """Decode any of perfsuite.data.image_file.FORMATS to upright RGB."""
    with image_errors(data), open_image(io.BytesIO(data)) as image:
        return np.array(to_upright_rgb(image))


def to_upright_rgb(image: Image.Image) -> Image.Image:
    """Repeat gray, drop alpha, keep the upper 8 of 16 bits, and apply the EXIF orientation."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.getexif().get(EXIF_ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    return image.convert("RGB")


DECODER = Decoder(
    name="pillow", decode=decode_with_pillow, module="PIL", distribution="pillow", extra="vision"
)
