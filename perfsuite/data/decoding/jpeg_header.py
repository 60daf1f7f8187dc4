"""What a JPEG's header says: size, orientation, and whether fast decoders may be trusted with it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

SUPPORTED_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive; all Huffman coded
UNSUPPORTED_FRAMES = frozenset({0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
# No length follows these, or libjpeg refuses them: whoever skips a "length" here reads another frame than
# libjpeg does, with another size.
WITHOUT_LENGTH = frozenset({*range(0xC0), *range(0xD0, 0xDA)})
START_OF_SCAN, END_OF_IMAGE = 0xDA, b"\xff\xd9"
EXIF_ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """Width and height as stored; `orientation` 1..8 as EXIF has it, 1 meaning upright."""

    width: int
    height: int
    components: int
    bits: int
    progressive: bool
    orientation: int
    has_end_marker: bool  # with its end marker, so it was not cut off
    has_exif: bool

    @property
    def is_plain(self) -> bool:
        """Gray or three channels of 8 bits, stored upright, and whole."""
        return self.bits == 8 and self.components in (1, 3) and self.orientation == 1 and self.has_end_marker


def read_jpeg_header(data: bytes) -> JpegHeader | None:
    """The header of a JPEG; None for anything else, and for one that is damaged before its first scan."""
    if data[:2] != b"\xff\xd8":
        return None
    at, end, orientation, has_exif = 2, len(data) - 10, 1, False
    while at < end:
        marker = data[at + 1]
        if data[at] != 0xFF:
            return None
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in SUPPORTED_FRAMES:
            height, width = int.from_bytes(data[at + 5 : at + 7]), int.from_bytes(data[at + 7 : at + 9])
            if width == 0 or height == 0:
                return None
            return JpegHeader(
                width,
                height,
                components=data[at + 9],
                bits=data[at + 4],
                progressive=marker == 0xC2,
                orientation=orientation,
                has_end_marker=data.endswith(END_OF_IMAGE),
                has_exif=has_exif,
            )
        if marker in UNSUPPORTED_FRAMES or marker in WITHOUT_LENGTH or marker == START_OF_SCAN:
            return None
        length = int.from_bytes(data[at + 2 : at + 4])
        if length < 2:
            return None
        has_exif = has_exif or (marker == 0xE1 and data[at + 4 : at + 8] == b"Exif")
        if marker == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            orientation = _read_exif_orientation(data[at + 10 : at + 2 + length])
        at += 2 + length
    return None


def _read_exif_orientation(tiff: bytes) -> int:
    """The first directory's orientation; 0, which is not upright, where it cannot be read."""
    try:
        order = {b"II": "<", b"MM": ">"}[tiff[:2]]
        (first,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, first)
        for entry in range(entries):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, first + 2 + 12 * entry)
            if tag == EXIF_ORIENTATION:
                return int(value)
    except (KeyError, struct.error):
        return 0
    return 1
