"""Every installed decoder returns what Pillow returns; a new decoder is tested here without a change."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from perfsuite.data.decoding.decoders.pillow import decode_with_pillow
from perfsuite.data.decoding.orientation import EXIF_ORIENTATION
from perfsuite.data.decoding.registry import available_decoders, get_decoder
from perfsuite.errors import DataError
from tests.data.images import block_image, encode

MODES = [("L", "JPEG"), ("RGB", "JPEG"), ("CMYK", "JPEG"), ("RGBA", "PNG"), ("P", "PNG"), ("I;16", "PNG")]
pytestmark = pytest.mark.parametrize("name", available_decoders())


@pytest.mark.parametrize(("mode", "kind"), MODES)
def test_every_mode_becomes_rgb_as_with_pillow(name: str, mode: str, kind: str) -> None:
    data = encode(block_image(mode), kind)
    decoded = get_decoder(name)(data)
    assert decoded.shape == (24, 40, 3)
    assert decoded.dtype == np.uint8
    assert np.abs(decoded.astype(int) - decode_with_pillow(data).astype(int)).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(name: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    data = encode(block_image(), "JPEG", exif=exif, quality=100, subsampling=0)
    expected = decode_with_pillow(data)
    decoded = get_decoder(name)(data)
    assert decoded.shape == expected.shape == ((40, 24, 3) if orientation >= 5 else (24, 40, 3))
    assert np.abs(decoded.astype(int) - expected.astype(int)).max() <= 1


@pytest.mark.parametrize("data", [b"", b"not an image", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n"])
def test_bytes_that_are_no_image_are_an_error_with_their_length(name: str, data: bytes) -> None:
    with pytest.raises(DataError, match=f"of {len(data)} bytes"):
        get_decoder(name)(data)


def test_a_truncated_jpeg_is_an_error(name: str) -> None:
    data = encode(block_image(size=(96, 96)), "JPEG")
    with pytest.raises(DataError):
        get_decoder(name)(data[: len(data) * 2 // 3])
