"""Find the marker that ends a JPEG's only scan, in compiled code.

Entropy-coded data cannot make libjpeg fail: it warns and fills in zeros. What can fail is a marker after the
scan, such as a second frame header or a bogus Huffman table. A decoder that stops after the last line of a
region never reaches it; Pillow does, and refuses the file.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

_FILL_BYTE, _STUFFED, _END_OF_IMAGE, _FIRST_RESTART, _LAST_RESTART = 0xFF, 0x00, 0xD9, 0xD0, 0xD7


@intrinsic
def _find_byte(context: Any, memchr: Any, start: Any, value: Any, length: Any) -> Any:
    """Call C's memchr by its address; the address of the first such byte, or 0."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(64), [ir.IntType(64)] * 3)
        return builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])

    return types.int64(types.int64, types.int64, types.int64, types.int64), build


@intrinsic
def _load_byte(context: Any, address: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte = builder.load(builder.inttoptr(arguments[0], ir.IntType(8).as_pointer()))
        return builder.zext(byte, ir.IntType(64))

    return types.int64(types.int64), build


@njit(nogil=True)
def ends_the_image(memchr: int, start: int, end: int) -> bool:
    """Whether the first marker from `start` up to `end`, besides restart markers, is the end marker."""
    while start < end - 1:
        found = _find_byte(memchr, start, _FILL_BYTE, end - 1 - start)
        if found == 0:
            return False
        marker = _load_byte(found + 1)
        if marker == _FILL_BYTE:
            start = found + 1
        elif marker == _STUFFED or _FIRST_RESTART <= marker <= _LAST_RESTART:
            start = found + 2
        else:
            return bool(marker == _END_OF_IMAGE)
    return False
