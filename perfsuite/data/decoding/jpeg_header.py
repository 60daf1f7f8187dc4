"""Read the header of a JPEG: its size, its orientation, and whether fast decoders can decode it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

SUPPORTED_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive; all Huffman coded
UNSUPPORTED_FRAMES = frozenset({0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
# These have no length field, or libjpeg refuses them. Skipping a "length" here would read another frame than
# libjpeg reads, with another size.
WITHOUT_LENGTH = frozenset({*range(0xC0), *range(0xD0, 0xDA)})
START_OF_SCAN, END_OF_IMAGE = 0xDA, b"\xff\xd9"
EXIF_ORIENTATION = 0x0112
MAX_TRAILING_BYTES = 62  # some writers pad the file after its end marker


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """Width and height as stored; `orientation` is EXIF's, 1 to 8, where 1 is upright."""

    width: int
    height: int
    components: int
    bits: int
    progressive: bool
    orientation: int
    has_end_marker: bool  # as its last bytes, so it was not truncated
    has_exif: bool

    @property
    def is_plain(self) -> bool:
        """Whether it is complete and upright, with 1 or 3 channels of 8 bits."""
        return self.bits == 8 and self.components in (1, 3) and self.orientation == 1 and self.has_end_marker


def read_jpeg_header(data: bytes) -> JpegHeader | None:
    """Read a JPEG's header; None for another format, or if it is damaged before its first scan."""
    if data[:2] != b"\xff\xd8":
        return None
    position, end, orientation, has_exif = 2, len(data) - 10, 1, False
    while position < end:
        marker = data[position + 1]
        if data[position] != 0xFF:
            return None
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker in SUPPORTED_FRAMES:
            height, width = (
                int.from_bytes(data[position + 5 : position + 7]),
                int.from_bytes(data[position + 7 : position + 9]),
            )
            if width == 0 or height == 0:
                return None
            return JpegHeader(
                width,
                height,
                components=data[position + 9],
                bits=data[position + 4],
                progressive=marker == 0xC2,
                orientation=orientation,
                has_end_marker=data.endswith(END_OF_IMAGE),
                has_exif=has_exif,
            )
        if marker in UNSUPPORTED_FRAMES or marker in WITHOUT_LENGTH or marker == START_OF_SCAN:
            return None
        length = int.from_bytes(data[position + 2 : position + 4])
        if length < 2:
            return None
        has_exif = has_exif or (marker == 0xE1 and data[position + 4 : position + 8] == b"Exif")
        if marker == 0xE1 and data[position + 4 : position + 10] == b"Exif\0\0":
            orientation = _read_exif_orientation(data[position + 10 : position + 2 + length])
        position += 2 + length
    return None


def is_complete(data: bytes) -> bool:
    """Whether the end marker is at most `MAX_TRAILING_BYTES` before the end of the file.

    Weaker than `JpegHeader.has_end_marker`: decoders of whole images ignore trailing bytes.
    """
    return END_OF_IMAGE in data[-MAX_TRAILING_BYTES - len(END_OF_IMAGE) :]


def _read_exif_orientation(tiff: bytes) -> int:
    """Read the orientation of the first directory; 0, which is not upright, if it is unreadable."""
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
