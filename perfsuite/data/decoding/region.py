"""A window of a plain JPEG, from its bytes into its place in a batch: decoded no further than needed."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfsuite.data.crop import CropWindow
from perfsuite.data.decoding.libjpeg import Decompressor, find_jpeg_library
from perfsuite.data.image_file import check_pixels
from perfsuite.stages import count_event

# Below this much of a row, libjpeg's chroma upsampling has too few columns to look around in.
MIN_REGION_WIDTH = 64


_import_lock = threading.Lock()


@cache
def is_available() -> bool:
    """Whether numba and a libjpeg-turbo that can crop are here."""
    return find_jpeg_library() is not None


class RegionDecoder:
    """Reads windows for one thread; its buffers grow to the largest image and are kept."""

    def __init__(self) -> None:
        found = find_jpeg_library()
        if found is None:
            raise OSError("window reader: no libjpeg-turbo or no numba; pip install 'perfsuite[fast]'")
        # One import at a time: numba's caches are read and written while this module is loaded.
        with _import_lock:
            from perfsuite.data.decoding import region_kernels

        self._decompressor = Decompressor(found)
        self._job = np.zeros(region_kernels.JOB_FIELDS, np.int64)
        self._job[
            region_kernels.FUNCTION_ADDRESSES : region_kernels.FUNCTION_ADDRESSES + len(found.functions)
        ] = found.functions
        addresses = (found.guarded, region_kernels.decode_region.address, self._decompressor.address)
        self._addresses = np.array(addresses, np.int64)
        self._read, self._resize = region_kernels.decode_window, region_kernels.resize_window
        self._pixels = np.empty(1 << 20, np.uint8)
        self._rows = np.empty(1024, np.int64)
        self._line = np.zeros(1 << 13, np.float32)
        self._row_buffer = np.empty(1, np.uint8)
        self._taps = np.empty((2, 1, 2), np.int64)
        self._weights = np.empty((2, 1, 8), np.float32)

    def read(
        self,
        data: bytes,
        window: CropWindow,
        sides: tuple[int, int],
        out: NDArray[np.uint8],
        eighths: int = 8,
    ) -> bool:
        """Fill `out` with the window of an image whose header claims these sides, width and height.

        False where this file needs the slow, lenient decoder, or is of another size. In fewer `eighths`
        (1, 2, 4) the image is decoded that much smaller first; the pixel limit is for its full size.
        """
        check_pixels(*sides)
        self._grow_buffers(window)
        count_event("decoded_images")
        outcome: int = self._read(
            self._addresses,
            self._job,
            np.frombuffer(data, np.uint8),
            (
                *window.box,
                *window.resized_size,
                *window.offset,
                *window.size,
                window.mirror,
                *sides,
                MIN_REGION_WIDTH,
                eighths,
            ),
            self._pixels,
            self._rows,
            self._line,
            self._row_buffer,
            self._taps,
            self._weights,
            out,
        )
        return outcome == 0 and self._decompressor.warnings == 0

    def resize(self, pixels: NDArray[np.uint8], window: CropWindow, out: NDArray[np.uint8]) -> None:
        """Fill `out` with the window of pixels that are decoded already (height x width x 3, contiguous)."""
        self._grow_buffers(window)
        told = (*window.box, *window.resized_size, *window.offset, *window.size, window.mirror)
        self._resize(pixels, told, self._line, self._row_buffer, self._taps, self._weights, out)

    def _grow_buffers(self, window: CropWindow) -> None:
        _, _, width, height = window.box
        taps = 2 * int(max(width / window.resized_size[0], height / window.resized_size[1], 1.0)) + 4
        outputs = max(window.size)
        if self._weights.shape[1] < outputs or self._weights.shape[2] < taps:
            self._weights = np.zeros((2, outputs, max(taps, 8)), np.float32)
            self._taps = np.zeros((2, outputs, 2), np.int64)
        # Decoding begins and ends on whole blocks of up to 32 pixels, on either side.
        columns, rows = max(width, MIN_REGION_WIDTH) + 128, height + 64
        self._pixels = _ensure_length(self._pixels, 4 * columns * rows)
        self._rows = _ensure_length(self._rows, rows)
        # The unrolled sums look at up to 6 taps, of which the last weigh nothing but must be numbers.
        self._line = _ensure_length(self._line, 4 * (columns + 8))
        self._row_buffer = _ensure_length(self._row_buffer, 3 * window.size[0] + 4)


def _ensure_length(buffer: NDArray[Any], length: int) -> NDArray[Any]:
    return buffer if len(buffer) >= length else np.zeros(length, buffer.dtype)
