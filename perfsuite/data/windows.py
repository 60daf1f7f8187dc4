"""A window of a plain JPEG, from its bytes into its place in a batch: decoded no further than needed."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfsuite.data.crops import Window
from perfsuite.data.image_file import check_pixels
from perfsuite.data.libjpeg import Decompressor, library
from perfsuite.stages import tell

# Below this much of a row, libjpeg's chroma upsampling has too few columns to look around in.
NARROWEST = 64


_loading = threading.Lock()


@cache
def is_available() -> bool:
    """Whether numba and a libjpeg-turbo that can crop are here."""
    return library() is not None


class WindowReader:
    """Reads windows for one thread; its buffers grow to the largest picture and are kept."""

    def __init__(self) -> None:
        found = library()
        if found is None:
            raise OSError("window reader: no libjpeg-turbo or no numba; pip install 'perfsuite[fast]'")
        # One import at a time: numba's caches are read and written while this module is loaded.
        with _loading:
            from perfsuite.data import compiled

        self._decompressor = Decompressor(found)
        self._job = np.zeros(compiled.JOB_FIELDS, np.int64)
        self._job[compiled.CALLS : compiled.CALLS + len(found.functions)] = found.functions
        addresses = (found.guarded, compiled.decode_region.address, self._decompressor.address)
        self._addresses = np.array(addresses, np.int64)
        self._read, self._resize = compiled.read_window, compiled.resize_window
        self._pixels = np.empty(1 << 20, np.uint8)
        self._rows = np.empty(1024, np.int64)
        self._line = np.zeros(1 << 13, np.float32)
        self._room = np.empty(1, np.uint8)
        self._taps = np.empty((2, 1, 2), np.int64)
        self._weights = np.empty((2, 1, 8), np.float32)

    def read(
        self,
        data: bytes,
        window: Window,
        sides: tuple[int, int],
        out: NDArray[np.uint8],
        eighths: int = 8,
    ) -> bool:
        """Fill `out` with the window of an image whose header claims these sides, width and height.

        False where this file needs the slow, lenient decoder, or is of another size. In fewer `eighths`
        (1, 2, 4) the image is decoded that much smaller first; the pixel limit is for its full size.
        """
        check_pixels(*sides)
        self._make_room(window)
        tell("decoded_images")
        outcome: int = self._read(
            self._addresses,
            self._job,
            np.frombuffer(data, np.uint8),
            (*window.box, *window.full, *window.at, *window.size, window.mirror, *sides, NARROWEST, eighths),
            self._pixels,
            self._rows,
            self._line,
            self._room,
            self._taps,
            self._weights,
            out,
        )
        return outcome == 0 and self._decompressor.warnings == 0

    def show(self, pixels: NDArray[np.uint8], window: Window, out: NDArray[np.uint8]) -> None:
        """Fill `out` with the window of pixels that are decoded already (height x width x 3, contiguous)."""
        self._make_room(window)
        told = (*window.box, *window.full, *window.at, *window.size, window.mirror)
        self._resize(pixels, told, self._line, self._room, self._taps, self._weights, out)

    def _make_room(self, window: Window) -> None:
        _, _, width, height = window.box
        taps = 2 * int(max(width / window.full[0], height / window.full[1], 1.0)) + 4
        outputs = max(window.size)
        if self._weights.shape[1] < outputs or self._weights.shape[2] < taps:
            self._weights = np.zeros((2, outputs, max(taps, 8)), np.float32)
            self._taps = np.zeros((2, outputs, 2), np.int64)
        # Decoding begins and ends on whole blocks of up to 32 pixels, on either side.
        columns, rows = max(width, NARROWEST) + 128, height + 64
        self._pixels = _at_least(self._pixels, 4 * columns * rows)
        self._rows = _at_least(self._rows, rows)
        # The unrolled sums look at up to 6 taps, of which the last weigh nothing but must be numbers.
        self._line = _at_least(self._line, 4 * (columns + 8))
        self._room = _at_least(self._room, 3 * window.size[0] + 4)


def _at_least(buffer: NDArray[Any], length: int) -> NDArray[Any]:
    return buffer if len(buffer) >= length else np.zeros(length, buffer.dtype)
