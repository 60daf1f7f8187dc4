"""A region of a JPEG through libjpeg-turbo, compiled by numba: no GIL, no C compiler, kept on disk."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, cfunc, njit, types
from numba.extending import intrinsic

from perfsuite.data.decoding.libjpeg import ABI_VERSION, DECOMPRESS_STRUCT_BYTES
from perfsuite.data.decoding.resample import compute_filter_weights, resample

# Fields of a job (int64), as the driver reads them.
DATA, LENGTH, LEFT, TOP, WIDTH, HEIGHT, PIXELS, PIXELS_BYTES, ROWS = range(9)
STRIDE, DECODED_LEFT = 9, 10
CROP_BOUNDS, SCALE_EIGHTHS = 11, 12
FULL_WIDTH, FULL_HEIGHT = 13, 14
FUNCTION_ADDRESSES = 16
JOB_FIELDS = 32

# Byte offsets in jpeg_decompress_struct (ABI 62).
IMAGE_WIDTH, IMAGE_HEIGHT, COMPONENTS, COLOR_SPACE, OUT_COLOR_SPACE = 48, 52, 56, 60, 64
SCALE_NUMERATOR, SCALE_DENOMINATOR = 68, 72
OUTPUT_WIDTH, PRECISION = 136, 296
GRAYSCALE, YCBCR, RGBX = 1, 3, 7

# What a load comes back with, besides libjpeg's own -1.
SUCCESS, UNSUPPORTED, SIZE_MISMATCH, BUFFER_TOO_SMALL, TRUNCATED = range(5)


@intrinsic
def _load_int(context: Any, address: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(builder.inttoptr(arguments[0], ir.IntType(32).as_pointer()))

    return types.int32(types.int64), build


@intrinsic
def _store_int(context: Any, address: Any, value: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[1], builder.inttoptr(arguments[0], ir.IntType(32).as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64, types.int32), build


@intrinsic
def _as_int64(context: Any, address: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())

    return types.CPointer(types.int64)(types.int64), build


@intrinsic
def _call(context: Any, function: Any, first: Any, second: Any, third: Any) -> Any:
    """Call a C function by its address; one that takes fewer arguments ignores the rest."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [ir.IntType(64)] * 3)
        return builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])

    return types.int32(types.int64, types.int64, types.int64, types.int64), build


@intrinsic
def _call_guarded(context: Any, guarded: Any, function: Any, struct: Any, job: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [ir.IntType(64)] * 4)
        guarded, *handed = arguments
        target = builder.inttoptr(guarded, kind.as_pointer())
        return builder.call(target, [*handed, ir.Constant(ir.IntType(64), 0)])

    return types.int32(types.int64, types.int64, types.int64, types.int64), build


@njit(nogil=True, cache=True)
def scaled_length(length: int, eighths: int) -> int:
    """The length of a side that libjpeg decodes in so many eighths of its size."""
    return (length * eighths + 7) // 8


@cfunc(types.int32(types.int64, types.int64, types.int64), nopython=True, cache=True)
def decode_region(struct: int, job_address: int, unused: int) -> int:
    """Decode the job's region as RGBX rows. Runs inside `guarded`: libjpeg may jump out of any call here."""
    job = carray(_as_int64(job_address), JOB_FIELDS)
    # A struct that lives on would lend one image's tables to the next that lacks its own.
    _call(job[FUNCTION_ADDRESSES + 7], struct, ABI_VERSION, DECOMPRESS_STRUCT_BYTES)
    _call(job[FUNCTION_ADDRESSES], struct, job[DATA], job[LENGTH])
    _call(job[FUNCTION_ADDRESSES + 1], struct, 1, 0)
    space = _load_int(struct + COLOR_SPACE)
    if _load_int(struct + PRECISION) != 8 or space not in (GRAYSCALE, YCBCR):
        return UNSUPPORTED
    full_width, full_height = _load_int(struct + IMAGE_WIDTH), _load_int(struct + IMAGE_HEIGHT)
    # Only the size that was checked against the pixel limit may be decoded: a progressive file allocates it.
    if full_width != job[FULL_WIDTH] or full_height != job[FULL_HEIGHT]:
        return SIZE_MISMATCH
    across = scaled_length(full_width, job[SCALE_EIGHTHS])
    down = scaled_length(full_height, job[SCALE_EIGHTHS])
    left, width, height = job[LEFT], job[WIDTH], job[HEIGHT]
    if left + width > across or job[TOP] + height > down:
        return SIZE_MISMATCH
    _store_int(struct + OUT_COLOR_SPACE, np.int32(RGBX))
    _store_int(struct + SCALE_NUMERATOR, np.int32(job[SCALE_EIGHTHS]))
    _store_int(struct + SCALE_DENOMINATOR, np.int32(8))
    _call(job[FUNCTION_ADDRESSES + 2], struct, 0, 0)
    job[DECODED_LEFT] = 0
    if width < across:
        bounds = job_address + 8 * CROP_BOUNDS
        _store_int(bounds, np.int32(left))
        _store_int(bounds + 4, np.int32(width))
        _call(job[FUNCTION_ADDRESSES + 3], struct, bounds, bounds + 4)
        job[DECODED_LEFT] = _load_int(bounds)
    stride = 4 * np.int64(_load_int(struct + OUTPUT_WIDTH))
    if stride * height > job[PIXELS_BYTES]:
        return BUFFER_TOO_SMALL
    job[STRIDE] = stride
    if job[TOP] > 0:
        _call(job[FUNCTION_ADDRESSES + 4], struct, job[TOP], 0)
    rows = carray(_as_int64(job[ROWS]), height)
    for row in range(height):
        rows[row] = job[PIXELS] + row * stride
    done = np.int64(0)
    while done < height:
        found = _call(job[FUNCTION_ADDRESSES + 5], struct, job[ROWS] + 8 * done, height - done)
        if found <= 0:
            return TRUNCATED
        done += found
    return SUCCESS


@njit(nogil=True, cache=True)
def decode_window(
    addresses: Any,
    job: Any,
    data: Any,
    window: Any,
    pixels: Any,
    rows: Any,
    line: Any,
    room: Any,
    taps: Any,
    weights: Any,
    out: Any,
) -> Any:
    """Decode what the window touches, and resample it into `out`; 0 where all went well."""
    box_left, box_top, box_width, box_height, full_width, full_height, at_x, at_y, size_x, size_y = window[
        :10
    ]
    mirror, width, height, narrowest, eighths = window[10:]
    job[FULL_WIDTH], job[FULL_HEIGHT] = width, height
    width = scaled_length(width, eighths)
    across, down = taps[0, :size_x], taps[1, :size_y]
    # Of an image that is decoded smaller the box may begin within a pixel.
    from_x, rest_x = box_left * eighths // 8, box_left * eighths % 8 / 8
    from_y, rest_y = box_top * eighths // 8, box_top * eighths % 8 / 8
    length_x, length_y = box_width * eighths / 8, box_height * eighths / 8
    most = compute_filter_weights(from_x, rest_x, length_x, full_width, at_x, across, weights[0], mirror)
    compute_filter_weights(from_y, rest_y, length_y, full_height, at_y, down, weights[1], False)
    left, right = across[:, 0].min(), (across[:, 0] + across[:, 1]).max()
    # Chroma is interpolated between neighbors: two pixels more on each side make the edges exact.
    left, right = max(0, left - 2), min(width, right + 2)
    if right - left < narrowest:
        left = max(0, min(left, width - narrowest))
        right = min(width, left + narrowest)
    top, bottom = down[0, 0], down[-1, 0] + down[-1, 1]
    job[DATA], job[LENGTH] = data.ctypes.data, len(data)
    job[LEFT], job[TOP], job[WIDTH], job[HEIGHT] = left, top, right - left, bottom - top
    job[SCALE_EIGHTHS] = eighths
    job[PIXELS], job[PIXELS_BYTES], job[ROWS] = pixels.ctypes.data, len(pixels), rows.ctypes.data
    outcome = _call_guarded(addresses[0], addresses[1], addresses[2], job.ctypes.data)
    _call(job[FUNCTION_ADDRESSES + 6], addresses[2], 0, 0)
    if outcome == SUCCESS:
        stride, begin = job[STRIDE], job[DECODED_LEFT]
        resample(pixels, stride, 4, begin, top, across, weights[0], down, weights[1], most, line, room, out)
    return outcome


@njit(nogil=True, cache=True)
def resize_window(pixels: Any, window: Any, line: Any, room: Any, taps: Any, weights: Any, out: Any) -> None:
    """The window of pixels that are decoded already (height, width, 3; contiguous)."""
    left, top, width, height, full_width, full_height, at_x, at_y, size_x, size_y = window[:10]
    across, down = taps[0, :size_x], taps[1, :size_y]
    most = compute_filter_weights(left, 0.0, float(width), full_width, at_x, across, weights[0], window[10])
    compute_filter_weights(top, 0.0, float(height), full_height, at_y, down, weights[1], False)
    stride = 3 * pixels.shape[1]
    resample(pixels.reshape(-1), stride, 3, 0, 0, across, weights[0], down, weights[1], most, line, room, out)
