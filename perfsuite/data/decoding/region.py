"""Decode only the crop of a plain JPEG, and resize it into its place in a batch."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfsuite.data.crop import CropWindow
from perfsuite.data.decoding.libjpeg import MIN_REGION_WIDTH, Decompressor, find_jpeg_library
from perfsuite.data.image_file import check_pixels
from perfsuite.stages import count_event

_import_lock = threading.Lock()


@cache
def is_available() -> bool:
    """Whether numba and a libjpeg-turbo that can crop are installed."""
    return find_jpeg_library() is not None


class RegionDecoder:
    """Decodes crops for one thread; its buffers grow to the largest image."""

    def __init__(self) -> None:
        library = find_jpeg_library()
        if library is None:
            raise OSError(
                "region decoder: no libjpeg-turbo that can crop, or no numba, expected both; "
                "pip install 'perfsuite[vision]'"
            )
        # One import at a time, because loading this module reads and writes numba's caches.
        with _import_lock:
            from perfsuite.data.decoding import region_kernels

        self._decompressor = Decompressor(library)
        self._job = np.zeros(region_kernels.JOB_FIELDS, np.int64)
        first_function = region_kernels.JOB_FUNCTIONS
        self._job[first_function : first_function + len(library.functions)] = library.functions
        addresses = (library.guarded, region_kernels.decode_region.address, self._decompressor.address)
        self._addresses = np.array(addresses, np.int64)
        self._decode_window, self._resize_window = region_kernels.decode_window, region_kernels.resize_window
        self._pixels = np.empty(1 << 20, np.uint8)
        self._rows = np.empty(1024, np.int64)
        self._line = np.zeros(1 << 13, np.float32)
        self._row_buffer = np.empty(1, np.uint8)
        self._taps = np.empty((2, 1, 2), np.int64)
        self._weights = np.empty((2, 1, 8), np.float32)

    def decode(
        self,
        data: bytes,
        window: CropWindow,
        size: tuple[int, int],
        out: NDArray[np.uint8],
        eighths: int = 8,
    ) -> bool:
        """Fill `out` with the window of an image whose header has this `size` (width, height).

        Returns False if the file needs a lenient decoder, or has another size. With 1, 2 or 4 `eighths` the
        image is decoded at that fraction of its size; the pixel limit applies to its full size.
        """
        check_pixels(*size)
        self._grow_buffers(window)
        count_event("decoded_images")
        outcome: int = self._decode_window(
            self._addresses,
            self._job,
            np.frombuffer(data, np.uint8),
            _fields(window),
            size,
            eighths,
            self._pixels,
            self._rows,
            self._scratch,
            out,
        )
        return outcome == 0 and self._decompressor.warnings == 0

    def resize(self, pixels: NDArray[np.uint8], window: CropWindow, out: NDArray[np.uint8]) -> None:
        """Fill `out` with the window of decoded pixels (height x width x 3, contiguous)."""
        self._grow_buffers(window)
        self._resize_window(pixels, _fields(window), self._scratch, out)

    @property
    def _scratch(self) -> tuple[NDArray[Any], ...]:
        return self._line, self._row_buffer, self._taps, self._weights

    def _grow_buffers(self, window: CropWindow) -> None:
        _, _, width, height = window.box
        taps = 2 * int(max(width / window.resized_size[0], height / window.resized_size[1], 1.0)) + 4
        outputs = max(window.size)
        if self._weights.shape[1] < outputs or self._weights.shape[2] < taps:
            self._weights = np.zeros((2, outputs, max(taps, 8)), np.float32)
            self._taps = np.zeros((2, outputs, 2), np.int64)
        # Decoding starts and ends at whole blocks of up to 32 pixels.
        columns, rows = max(width, MIN_REGION_WIDTH) + 128, height + 64
        self._pixels = _ensure_length(self._pixels, 4 * columns * rows)
        self._rows = _ensure_length(self._rows, rows)
        # The unrolled sums read up to 6 taps; those with weight 0 must still be finite numbers.
        self._line = _ensure_length(self._line, 4 * (columns + 8))
        self._row_buffer = _ensure_length(self._row_buffer, 3 * window.size[0] + 4)


def _ensure_length(buffer: NDArray[Any], length: int) -> NDArray[Any]:
    return buffer if len(buffer) >= length else np.zeros(length, buffer.dtype)


def _fields(window: CropWindow) -> tuple[Any, ...]:
    """For compiled code, which takes no objects."""
    return window.box, window.resized_size, window.offset, window.size, window.mirror
