from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from perfsuite.data.decoding.jpeg_header import read_jpeg_header
from perfsuite.data.decoding.orientation import EXIF_ORIENTATION

PIXELS = np.random.default_rng(3).integers(0, 256, (48, 80, 3), np.uint8)


def jpeg(**options: object) -> bytes:
    out = io.BytesIO()
    mode = options.pop("mode", "RGB")
    Image.fromarray(PIXELS).convert(str(mode)).save(out, "JPEG", **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("options", "plain"),
    [
        ({}, True),
        ({"progressive": True}, True),
        ({"mode": "L"}, True),
        ({"mode": "CMYK"}, False),
        ({"comment": b"x" * 5000}, True),
        ({"icc_profile": b"i" * 70_000}, True),
    ],
)
def test_size_and_plainness_are_read(options: dict[str, object], plain: bool) -> None:
    header = read_jpeg_header(jpeg(**options))
    assert header is not None
    assert (header.width, header.height, header.is_plain) == (80, 48, plain)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", [">", "<"])
def test_only_upright_is_plain(orientation: int, order: str) -> None:
    exif = Image.Exif()
    exif.endian = order
    exif[EXIF_ORIENTATION] = orientation
    exif[0x010F] = "a maker"
    header = read_jpeg_header(jpeg(exif=exif))
    assert header is not None
    assert header.orientation == orientation
    assert header.is_plain == (orientation == 1)


def test_a_truncated_file_is_not_plain() -> None:
    header = read_jpeg_header(jpeg()[:-40])
    assert header is not None
    assert not header.is_plain


def test_damage_never_raises() -> None:
    data = bytearray(jpeg(exif=Image.Exif()))
    for end in range(0, len(data), 7):
        read_jpeg_header(bytes(data[:end]))
    for at in range(600):
        for value in (0, 1, 0xFF):
            changed = data.copy()
            changed[at] = value
            read_jpeg_header(bytes(changed))


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\xff\xd8\xff\xda", b"\x89PNG\r\n\x1a\n" + bytes(90)])
def test_other_files_have_no_header(data: bytes) -> None:
    assert read_jpeg_header(data) is None
