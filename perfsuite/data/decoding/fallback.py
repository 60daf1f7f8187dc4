"""Restrict a fast decoder to plain JPEGs; decode everything else with Pillow.

Pillow is the reference. It decodes what fast decoders cannot decode or decode differently (CMYK, 16 bits,
PNG, EXIF orientation, damaged files), so that all decoders return the same image.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any

from perfsuite.data.decoding.decoder import DecodeFunction, Pixels, image_errors
from perfsuite.data.decoding.decoders.pillow import decode_with_pillow
from perfsuite.data.decoding.jpeg_header import JpegHeader, is_complete, read_jpeg_header
from perfsuite.data.decoding.jpeg_markers import ends_after_one_scan
from perfsuite.data.image_file import is_within_pixel_limit


def fall_back_to_pillow(
    *errors: type[Exception], complete_only: bool = False
) -> Callable[[DecodeFunction], DecodeFunction]:
    """Wrap a fast decoder of plain JPEGs; Pillow decodes other files, and those that raise one of `errors`.

    Set `complete_only` for a decoder that returns the upper part of a truncated JPEG without an error, or
    that stops after the last line. Pillow also reads the markers after it, and refuses some.
    """

    def decorate(fast: DecodeFunction) -> DecodeFunction:
        @wraps(fast)
        def decode(data: bytes) -> Pixels:
            header = read_jpeg_header(data)
            # A size beyond the limit goes to Pillow too, which refuses it by the same rule.
            is_plain = header is not None and _is_for_fast_decoders(header)
            if header is not None and is_plain and (not complete_only or _ends_properly(data, header)):
                with image_errors(data), suppress(*errors):
                    return fast(data)
            return decode_with_pillow(data)

        return decode

    return decorate


def tensor_to_pixels(image: Any) -> Pixels:
    """Convert a tensor of channels x height x width."""
    pixels: Pixels = image.permute(1, 2, 0).contiguous().numpy()
    return pixels


def _ends_properly(data: bytes, header: JpegHeader) -> bool:
    """Whether the file was not truncated, and nothing but the end marker follows its scan.

    Every decoder reads a progressive file to its end, so its later markers need no check.
    """
    return is_complete(data) and (header.progressive or ends_after_one_scan(data))


def _is_for_fast_decoders(header: JpegHeader) -> bool:
    """Accept 1 or 3 channels of 8 bits within the pixel limit, without EXIF: fast decoders ignore it."""
    is_simple = header.bits == 8 and header.components in (1, 3) and not header.has_exif
    return is_simple and is_within_pixel_limit(header.width, header.height)
