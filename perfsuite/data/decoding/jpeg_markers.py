"""Whether a JPEG ends after its only scan: the rule of jpeg_scan.py, without numba."""

from __future__ import annotations

_START_OF_SCAN, _END_OF_IMAGE, _FILL_BYTE = 0xDA, 0xD9, 0xFF
# Neither is a marker within a scan: a stuffed byte of value 0xFF, and the restart markers.
_WITHIN_SCAN = frozenset({0x00, *range(0xD0, 0xD8)})


def ends_after_one_scan(data: bytes) -> bool:
    """Whether the first marker after the first scan, besides restart markers, is the end marker.

    >>> header = bytes.fromhex("ffd8 ffda0003 00")
    >>> ends_after_one_scan(header + bytes.fromhex("12ff00 ffd034 ffd9"))
    True
    >>> ends_after_one_scan(header + bytes.fromhex("12ff00 ffc434 ffd9"))
    False
    """
    position = _find_scan(data)
    while position is not None:
        position = data.find(_FILL_BYTE, position)
        marker = data[position + 1] if 0 <= position < len(data) - 1 else None
        if marker == _FILL_BYTE:
            position += 1
        elif marker in _WITHIN_SCAN:
            position += 2
        else:
            return marker == _END_OF_IMAGE
    return False


def _find_scan(data: bytes) -> int | None:
    """The position after the first scan's header; None if the segments before it are irregular."""
    position = 2
    while position + 4 <= len(data) and data[position] == _FILL_BYTE:
        marker = data[position + 1]
        if marker == _FILL_BYTE:
            position += 1
            continue
        position += 2 + int.from_bytes(data[position + 2 : position + 4])
        if marker == _START_OF_SCAN:
            return position
    return None
