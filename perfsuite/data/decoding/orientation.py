"""The orientation of an image, as its EXIF or XMP metadata states it.

Pillow's `exif_transpose` is the reference for every decoder (docs/decisions/0015): EXIF's orientation, else
that of XMP. This module does not repeat its rules: it recognizes the files that are upright beyond doubt,
which fast decoders may decode, and leaves every other file to Pillow.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

EXIF_ORIENTATION = 0x0112
UPRIGHT = 1
ONLY_PILLOW_KNOWS = 0
_EXIF_MARK, _XMP_MARK = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_TIFF_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_SHORT = 3


def read_orientation(segments: Sequence[bytes]) -> tuple[bool, int]:
    """Whether any of a JPEG's APP1 segments has EXIF or an XMP orientation, and the orientation.

    >>> read_orientation([])
    (False, 1)
    """
    exif = [segment for segment in segments if segment.startswith(_EXIF_MARK)]
    has_xmp = any(segment.startswith(_XMP_MARK) and b"tiff:Orientation" in segment for segment in segments)
    if not exif:
        return has_xmp, ONLY_PILLOW_KNOWS if has_xmp else UPRIGHT
    if len(exif) > 1:  # one block in two segments, or two blocks
        return True, ONLY_PILLOW_KNOWS
    stated = _read_exif_orientation(exif[0][len(_EXIF_MARK) :])
    if stated is None:  # XMP is obeyed where EXIF has no orientation
        return True, ONLY_PILLOW_KNOWS if has_xmp else UPRIGHT
    return True, stated


def _read_exif_orientation(tiff: bytes) -> int | None:
    """The orientation in the first directory; None without one.

    Anything but one entry with one 16-bit number is left to Pillow.
    """
    order = _TIFF_BYTE_ORDERS.get(tiff[:4])
    if order is None:
        return ONLY_PILLOW_KNOWS
    try:
        (first,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, first)
        entries = [struct.unpack_from(order + "HHIH", tiff, first + 2 + 12 * index) for index in range(count)]
    except struct.error:
        return ONLY_PILLOW_KNOWS
    orientations = [entry[1:] for entry in entries if entry[0] == EXIF_ORIENTATION]
    if not orientations:
        return None
    kind, values, value = orientations[0]
    is_clear = len(orientations) == 1 and (kind, values) == (_SHORT, 1) and 1 <= value <= 8
    return int(value) if is_clear else ONLY_PILLOW_KNOWS
