from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from perfsuite.data.decoding import registry
from perfsuite.errors import DataError

RNG = np.random.default_rng(7)


def image(mode: str, side: tuple[int, int] = (24, 40)) -> Image.Image:
    blocks = RNG.integers(0, 256, (side[0] // 8, side[1] // 8, 3), np.uint8)
    made = Image.fromarray(np.kron(blocks, np.ones((8, 8, 1), np.uint8)))
    if mode == "I;16":
        return Image.fromarray(np.asarray(made.convert("L")).astype(np.uint16) * 257)
    return made.convert(mode)


def encoded(source: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    source.save(out, kind, **options)
    return out.getvalue()


MODES = [("L", "JPEG"), ("RGB", "JPEG"), ("CMYK", "JPEG"), ("RGBA", "PNG"), ("P", "PNG"), ("I;16", "PNG")]


@pytest.mark.parametrize("name", registry.available_decoders())
@pytest.mark.parametrize(("mode", "kind"), MODES)
def test_every_decoder_gives_rgb_of_every_mode_as_pillow_does(name: str, mode: str, kind: str) -> None:
    data = encoded(image(mode), kind)
    found = registry.get_decoder(name)(data)
    assert found.shape == (24, 40, 3)
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - registry.decode_with_pillow(data).astype(int)).max() <= 1


@pytest.mark.parametrize("name", registry.available_decoders())
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_decoder_obeys_exif(name: str, orientation: int) -> None:
    upright = image("RGB")
    exif = Image.Exif()
    exif[registry.EXIF_ORIENTATION] = orientation
    data = encoded(upright, "JPEG", exif=exif, quality=100, subsampling=0)
    expected = registry.decode_with_pillow(data)
    found = registry.get_decoder(name)(data)
    assert found.shape == expected.shape == ((40, 24, 3) if orientation >= 5 else (24, 40, 3))
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


def test_sixteen_bits_keep_their_upper_eight() -> None:
    values = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8)
    found = registry.decode_with_pillow(encoded(Image.fromarray(values), "PNG"))
    np.testing.assert_array_equal(found[:, :, 0], values >> 8)


@pytest.mark.parametrize("name", registry.available_decoders())
@pytest.mark.parametrize("data", [b"", b"not an image", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n"])
def test_what_is_no_image_is_told_with_its_length(name: str, data: bytes) -> None:
    with pytest.raises(DataError, match=f"of {len(data)} bytes"):
        registry.get_decoder(name)(data)


@pytest.mark.parametrize("name", registry.available_decoders())
def test_a_truncated_jpeg_is_an_error_for_every_decoder(name: str) -> None:
    data = encoded(image("RGB", (96, 96)), "JPEG")
    with pytest.raises(DataError):
        registry.get_decoder(name)(data[: len(data) * 2 // 3])


def test_an_unknown_decoder_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'fastest', expected auto or one of pillow"):
        registry.get_decoder("fastest")
