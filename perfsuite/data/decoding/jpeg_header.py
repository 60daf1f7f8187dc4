"""Read the header of a JPEG: its size, its orientation, and whether fast decoders can decode it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfsuite.data.decoding.orientation import read_orientation

SUPPORTED_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive; all Huffman coded
UNSUPPORTED_FRAMES = frozenset({0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
# These have no length field, or libjpeg refuses them. Skipping a "length" here would read another frame than
# libjpeg reads, with another size.
WITHOUT_LENGTH = frozenset({*range(0xC0), *range(0xD0, 0xDA)})
PROGRESSIVE_FRAME = 0xC2
APP1 = 0xE1  # EXIF and XMP
NOT_SKIPPED = UNSUPPORTED_FRAMES | WITHOUT_LENGTH
START_OF_SCAN, END_OF_IMAGE = 0xDA, b"\xff\xd9"
MAX_TRAILING_BYTES = 62  # some writers pad the file after its end marker


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """Width and height as stored; `has_exif` means EXIF or an orientation in XMP."""

    width: int
    height: int
    components: int
    bits: int
    progressive: bool
    orientation: int  # as Pillow reads it, 1 to 8, where 1 is upright; 0 if only Pillow can decide
    has_end_marker: bool  # as its last bytes, so it was not truncated
    has_exif: bool

    @property
    def is_plain(self) -> bool:
        """Whether it is complete and upright, with 1 or 3 channels of 8 bits."""
        return self.bits == 8 and self.components in (1, 3) and self.orientation == 1 and self.has_end_marker


def read_jpeg_header(data: bytes) -> JpegHeader | None:
    """Read a JPEG's header; None for another format, or if it is damaged before its first scan.

    It is read up to the first scan, because metadata may follow the frame header.
    """
    if data[:2] != b"\xff\xd8":
        return None
    position, end = 2, len(data) - 10
    frame = -1  # the position of the frame header
    metadata: list[bytes] = []  # of the application segments that may have an orientation
    while position < end:
        marker = data[position + 1]
        if data[position] != 0xFF:
            return None
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        length = data[position + 2] << 8 | data[position + 3]
        if marker in SUPPORTED_FRAMES:
            if frame >= 0:
                return None
            frame = position
        elif marker == APP1:
            metadata.append(data[position + 4 : position + 2 + length])
        elif marker == START_OF_SCAN:
            return _parse_frame(data, frame, metadata) if frame >= 0 else None
        elif marker in NOT_SKIPPED:
            return None
        if length < 2:
            return None
        position += 2 + length
    return None


def _parse_frame(data: bytes, position: int, metadata: Sequence[bytes]) -> JpegHeader | None:
    height = int.from_bytes(data[position + 5 : position + 7])
    width = int.from_bytes(data[position + 7 : position + 9])
    if width == 0 or height == 0:
        return None
    has_exif, orientation = read_orientation(metadata) if metadata else (False, 1)
    return JpegHeader(
        width,
        height,
        components=data[position + 9],
        bits=data[position + 4],
        progressive=data[position + 1] == PROGRESSIVE_FRAME,
        orientation=orientation,
        has_end_marker=data.endswith(END_OF_IMAGE),
        has_exif=has_exif,
    )


def is_complete(data: bytes) -> bool:
    """Whether the end marker is at most `MAX_TRAILING_BYTES` before the end of the file.

    Weaker than `JpegHeader.has_end_marker`: decoders of whole images ignore trailing bytes.
    """
    return END_OF_IMAGE in data[-MAX_TRAILING_BYTES - len(END_OF_IMAGE) :]
