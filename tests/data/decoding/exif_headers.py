"""JPEG files whose orientation is stored in unusual places, for the tests that compare decoders."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 96, 96
SHORT, LONG, BYTE, RATIONAL = 3, 4, 1, 5
XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
EXTENDED_XMP_HEADER = b"http://ns.adobe.com/xmp/extension/\0"


def base_jpeg(progressive: bool = False, mode: str = "RGB") -> bytes:
    """An asymmetric image in blocks of 16 pixels, so that every orientation gives another image."""
    colors = np.random.default_rng(11).integers(0, 256, (HEIGHT // 16, WIDTH // 16, 3), np.uint8)
    image = Image.fromarray(np.kron(colors, np.ones((16, 16, 1), np.uint8))).convert(mode)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95, progressive=progressive)
    return file.getvalue()


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def tiff(
    entries: Sequence[tuple[int, int, int, int]], order: str = "<", magic: int = 42, first: int = 8
) -> bytes:
    """A TIFF header and one directory of (tag, type, count, value)."""
    mark = b"II" if order == "<" else b"MM"
    data = mark + struct.pack(order + "HI", magic, first) + bytes(first - 8)
    data += struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        width = {SHORT: "H2x", BYTE: "B3x"}.get(kind, "I")
        data += struct.pack(order + "HHI" + width, tag, kind, count, value)
    return data + bytes(4)


def exif(value: int, kind: int = SHORT, count: int = 1, order: str = "<") -> bytes:
    return segment(0xE1, b"Exif\0\0" + tiff([(0x0112, kind, count, value)], order))


def xmp(value: object, form: str = "attribute", header: bytes = XMP_HEADER) -> bytes:
    orientation = f'tiff:Orientation="{value}"'
    body = f"<rdf:Description {orientation}/>"
    if form == "element":
        body = f"<tiff:Orientation>{value}</tiff:Orientation>"
    return segment(0xE1, header + f"<x:xmpmeta>{body}</x:xmpmeta>".encode())


def with_segments(*segments: bytes, jpeg: bytes | None = None) -> bytes:
    """The segments directly after the start of the image."""
    jpeg = jpeg or base_jpeg()
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def before_marker(marker: bytes, added: bytes, jpeg: bytes | None = None) -> bytes:
    """The segment directly before a marker of the file."""
    jpeg = jpeg or base_jpeg()
    at = jpeg.index(marker)
    return jpeg[:at] + added + jpeg[at:]


def after_first_scan(added: bytes) -> bytes:
    """Within a progressive file, before its second scan."""
    jpeg = base_jpeg(progressive=True)
    at = jpeg.index(b"\xff\xda", jpeg.index(b"\xff\xda") + 2)
    tables = jpeg.rindex(b"\xff\xc4", 0, at)
    return jpeg[:tables] + added + jpeg[tables:]


def headers() -> dict[str, bytes]:
    """By name; all hold the same stored pixels, except the gray one."""
    upright, turned, other = exif(1), exif(6), exif(3)
    empty_directory = segment(0xE1, b"Exif\0\0" + tiff([]))
    maker = (0x010F, SHORT, 1, 7)
    split = tiff([maker, (0x0112, SHORT, 1, 6)])
    return {
        "no metadata": base_jpeg(),
        "upright": with_segments(upright),
        "turned": with_segments(turned),
        "big-endian": with_segments(exif(6, order=">")),
        "big-endian, upright": with_segments(exif(1, order=">")),
        "no orientation in EXIF": with_segments(empty_directory),
        "orientation as LONG": with_segments(exif(6, LONG)),
        "orientation as big-endian LONG": with_segments(exif(6, LONG, order=">")),
        "orientation as BYTE": with_segments(exif(6, BYTE)),
        "two values": with_segments(exif(6, SHORT, count=2)),
        "orientation 0": with_segments(exif(0)),
        "orientation 9": with_segments(exif(9)),
        "named twice in a directory": with_segments(
            segment(0xE1, b"Exif\0\0" + tiff([(0x0112, SHORT, 1, 1), (0x0112, SHORT, 1, 6)]))
        ),
        "directory further back": with_segments(
            segment(0xE1, b"Exif\0\0" + tiff([(0x0112, SHORT, 1, 6)], first=40))
        ),
        "two EXIF, the second turned": with_segments(upright, turned),
        "two EXIF, the first turned": with_segments(turned, upright),
        "EXIF split over two segments": with_segments(
            segment(0xE1, b"Exif\0\0" + split[:24]), segment(0xE1, b"Exif\0\0" + split[24:])
        ),
        "EXIF after the tables": before_marker(b"\xff\xc0", turned),
        "EXIF after the frame header": before_marker(b"\xff\xc4", turned),
        "EXIF before the scan": before_marker(b"\xff\xda", turned),
        "EXIF before and after the frame header": before_marker(b"\xff\xc4", turned, with_segments(upright)),
        "XMP after the frame header": before_marker(b"\xff\xc4", xmp(6)),
        "EXIF after the first scan": after_first_scan(turned),
        "XMP attribute": with_segments(xmp(6)),
        "XMP element": with_segments(xmp(6, "element")),
        "XMP upright": with_segments(xmp(1)),
        "XMP turned beside upright EXIF": with_segments(upright, xmp(6)),
        "XMP turned beside EXIF without orientation": with_segments(empty_directory, xmp(6)),
        "XMP before EXIF": with_segments(xmp(6), other),
        "two XMP": with_segments(xmp(1), xmp(8)),
        "XMP out of range": with_segments(xmp(9)),
        "extended XMP": with_segments(xmp(6, header=EXTENDED_XMP_HEADER)),
        "EXIF in another segment": with_segments(segment(0xE2, b"Exif\0\0" + tiff([(0x0112, SHORT, 1, 6)]))),
        "almost the EXIF mark": with_segments(segment(0xE1, b"Exif\0\1" + tiff([(0x0112, SHORT, 1, 6)]))),
        "empty EXIF segment": with_segments(segment(0xE1, b"Exif\0\0")),
        "EXIF mark twice": with_segments(segment(0xE1, b"Exif\0\0Exif\0\0" + tiff([(0x0112, SHORT, 1, 6)]))),
        "not a TIFF header": with_segments(
            segment(0xE1, b"Exif\0\0" + tiff([(0x0112, SHORT, 1, 6)], magic=7))
        ),
        "directory beyond the segment": with_segments(segment(0xE1, b"Exif\0\0" + tiff([])[:8] + b"\0")),
        "fill bytes before EXIF": with_segments(b"\xff\xff\xff" + turned),
        "junk before EXIF": with_segments(b"\0\1\2" + turned),
        "gray": with_segments(turned, jpeg=base_jpeg(mode="L")),
        "progressive": with_segments(turned, jpeg=base_jpeg(progressive=True)),
    }
