"""One reference of orientation: every decoder returns what Pillow's `exif_transpose` makes of the file."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from perfsuite.data import crop_decoder
from perfsuite.data.decoding import region
from perfsuite.data.decoding.jpeg_header import read_jpeg_header
from perfsuite.data.decoding.registry import available_decoders, get_decoder
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.image_maker import ImageMaker
from perfsuite.data.sources.file_index import PackedStrings
from perfsuite.data.sources.files import FileSource
from perfsuite.errors import DataError
from perfsuite.transforms.augment.parameters import AugmentationParameters as Draw
from tests.data.decoding.exif_headers import HEIGHT, WIDTH, base_jpeg, exif, headers, with_segments

Pixels = NDArray[np.uint8]
HEADERS = headers()
# A block has one color, so another orientation differs by about 100 levels and rounding by a few.
TOLERANCE = 12


def oracle(data: bytes) -> Pixels | None:
    """The oracle; None where Pillow cannot read the metadata."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data)) as image:
                upright = ImageOps.exif_transpose(image)
        except (SyntaxError, ValueError, KeyError, TypeError, OSError):
            return None
    return np.asarray(upright.convert("RGB"))


def agrees(pixels: Pixels | None, expected: Pixels | None) -> bool:
    if pixels is None or expected is None:
        return pixels is expected
    if pixels.shape != expected.shape:
        return False
    return bool(np.abs(pixels.astype(int) - expected.astype(int)).max() <= TOLERANCE)


def decode_or_none(name: str, data: bytes) -> Pixels | None:
    try:
        return get_decoder(name)(data)
    except DataError:
        return None


def loader_pixels(data: bytes) -> Pixels | None:
    """What the loader makes of the whole image."""
    source = FileSource("", PackedStrings.from_strings(["a.jpg"]), np.zeros(1, np.int32), ("a",))
    maker = ImageMaker(source, ImageConfig(size=WIDTH, crop="stretch"))
    out = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    try:
        maker.make_from_bytes(data, [], Draw(), out)
    except DataError:
        return None
    return out


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("name", [*available_decoders(), "auto"])
def test_every_decoder_follows_the_oracle(name: str, header: str) -> None:
    assert agrees(decode_or_none(name, HEADERS[header]), oracle(HEADERS[header]))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("header", HEADERS)
def test_the_loader_follows_the_oracle(header: str) -> None:
    assert agrees(loader_pixels(HEADERS[header]), oracle(HEADERS[header]))


def test_the_headers_have_every_outcome() -> None:
    """The negative control: without the rule the stored pixels would be returned, which is wrong for many."""
    stored = np.asarray(Image.open(io.BytesIO(base_jpeg())))
    outcomes = [oracle(data) for data in HEADERS.values()]
    turned = [pixels for pixels in outcomes if pixels is not None and not agrees(pixels, stored)]
    assert len(HEADERS) >= 29
    assert len(turned) >= 15
    assert any(pixels is None for pixels in outcomes)


@pytest.mark.parametrize(
    ("name", "is_plain"),
    [("no metadata", True), ("upright", True), ("no orientation in EXIF", True), ("turned", False),
     ("extended XMP", True), ("two XMP", False), ("EXIF before the scan", False)],
)  # fmt: skip
def test_upright_files_stay_with_the_region_decoder(name: str, is_plain: bool) -> None:
    header = read_jpeg_header(HEADERS[name])
    assert header is not None
    assert header.is_plain == is_plain


@pytest.mark.skipif(not region.is_available(), reason="no region decoder")
def test_an_upright_camera_file_is_not_decoded_by_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crop_decoder, "get_decoder", lambda name: pytest.fail(f"decoded by {name}"))
    assert loader_pixels(with_segments(exif(1))) is not None
