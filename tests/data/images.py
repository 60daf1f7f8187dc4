"""Small images for the tests of decoders."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image


def block_image(mode: str = "RGB", size: tuple[int, int] = (24, 40), seed: int = 7) -> Image.Image:
    """Random colors in blocks of 8 x 8 pixels, which JPEG stores almost exactly; `size` is height, width."""
    colors = np.random.default_rng(seed).integers(0, 256, (size[0] // 8, size[1] // 8, 3), np.uint8)
    image = Image.fromarray(np.kron(colors, np.ones((8, 8, 1), np.uint8)))
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    return image.convert(mode)


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
