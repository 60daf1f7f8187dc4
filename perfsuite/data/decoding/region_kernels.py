"""Calls of libjpeg-turbo that decode a region of a JPEG, compiled by numba: without the GIL and a C compiler.

numba caches the compiled code on disk.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, cfunc, njit, types
from numba.extending import intrinsic

from perfsuite.data.decoding.jpeg_scan import ends_the_image
from perfsuite.data.decoding.libjpeg import ABI_VERSION, DECOMPRESS_STRUCT_BYTES, FUNCTIONS, MIN_REGION_WIDTH
from perfsuite.data.decoding.resample import compute_filter_weights, resample

# Fields of a job, an array of int64.
JOB_DATA, JOB_LENGTH, JOB_LEFT, JOB_TOP, JOB_WIDTH, JOB_HEIGHT = range(6)
JOB_PIXELS, JOB_PIXELS_BYTES, JOB_ROWS, JOB_STRIDE, JOB_DECODED_LEFT = range(6, 11)
JOB_CROP_BOUNDS, JOB_SCALE_EIGHTHS, JOB_FULL_WIDTH, JOB_FULL_HEIGHT = range(11, 15)
JOB_FUNCTIONS, JOB_FIELDS = 16, 32
# The fields with the addresses of libjpeg.FUNCTIONS, in their order.
(
    MEM_SRC,
    READ_HEADER,
    START_DECOMPRESS,
    CROP_SCANLINE,
    SKIP_SCANLINES,
    READ_SCANLINES,
    DESTROY_DECOMPRESS,
    CREATE_DECOMPRESS,
    HAS_MULTIPLE_SCANS,
    MEMCHR,
) = range(JOB_FUNCTIONS, JOB_FUNCTIONS + len(FUNCTIONS))

# Byte offsets in jpeg_decompress_struct (ABI 62).
SOURCE_MANAGER, IMAGE_WIDTH, IMAGE_HEIGHT, COLOR_SPACE, OUT_COLOR_SPACE = 40, 48, 52, 60, 64
SCALE_NUMERATOR, SCALE_DENOMINATOR = 68, 72
OUTPUT_WIDTH, PRECISION = 136, 296
GRAYSCALE, YCBCR, RGBX = 1, 3, 7

# Outcomes of decode_region, besides -1 for an error of libjpeg.
SUCCESS, UNSUPPORTED, SIZE_MISMATCH, BUFFER_TOO_SMALL, TRUNCATED, FOREIGN_MARKER = range(6)


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
        guarded, *rest = arguments
        target = builder.inttoptr(guarded, kind.as_pointer())
        return builder.call(target, [*rest, ir.Constant(ir.IntType(64), 0)])

    return types.int32(types.int64, types.int64, types.int64, types.int64), build


@njit(nogil=True, cache=True)
def scaled_length(length: int, eighths: int) -> int:
    """The length of a side that libjpeg decodes at `eighths` / 8 of its size."""
    return (length * eighths + 7) // 8


@njit(nogil=True)
def _scan_ends_the_image(struct: int, job: Any) -> Any:
    """Whether nothing but the end marker follows the scan that begins where libjpeg stopped reading."""
    scan = _as_int64(_as_int64(struct + SOURCE_MANAGER)[0])[0]  # the source manager's next_input_byte
    return ends_the_image(job[MEMCHR], scan, job[JOB_DATA] + job[JOB_LENGTH])


@cfunc(types.int32(types.int64, types.int64, types.int64), nopython=True, cache=True)
def decode_region(struct: int, job_address: int, unused: int) -> int:
    """Decode the job's region to RGBX rows. Runs inside `guarded`: libjpeg may jump out of any call here."""
    job = carray(_as_int64(job_address), JOB_FIELDS)
    # A new struct for each image: a reused one keeps the Huffman and quantization tables of the image before.
    _call(job[CREATE_DECOMPRESS], struct, ABI_VERSION, DECOMPRESS_STRUCT_BYTES)
    _call(job[MEM_SRC], struct, job[JOB_DATA], job[JOB_LENGTH])
    _call(job[READ_HEADER], struct, 1, 0)
    space = _load_int(struct + COLOR_SPACE)
    if _load_int(struct + PRECISION) != 8 or space not in (GRAYSCALE, YCBCR):
        return UNSUPPORTED
    full_width, full_height = _load_int(struct + IMAGE_WIDTH), _load_int(struct + IMAGE_HEIGHT)
    # Decode only the size that was checked against the pixel limit, because a progressive file allocates it.
    if full_width != job[JOB_FULL_WIDTH] or full_height != job[JOB_FULL_HEIGHT]:
        return SIZE_MISMATCH
    # libjpeg reads several scans to the end of the file at once, of a single scan what the region needs.
    if not _call(job[HAS_MULTIPLE_SCANS], struct, 0, 0) and not _scan_ends_the_image(struct, job):
        return FOREIGN_MARKER
    across = scaled_length(full_width, job[JOB_SCALE_EIGHTHS])
    down = scaled_length(full_height, job[JOB_SCALE_EIGHTHS])
    left, width, height = job[JOB_LEFT], job[JOB_WIDTH], job[JOB_HEIGHT]
    if left + width > across or job[JOB_TOP] + height > down:
        return SIZE_MISMATCH
    _store_int(struct + OUT_COLOR_SPACE, np.int32(RGBX))
    _store_int(struct + SCALE_NUMERATOR, np.int32(job[JOB_SCALE_EIGHTHS]))
    _store_int(struct + SCALE_DENOMINATOR, np.int32(8))
    _call(job[START_DECOMPRESS], struct, 0, 0)
    job[JOB_DECODED_LEFT] = 0
    if width < across:
        bounds = job_address + 8 * JOB_CROP_BOUNDS
        _store_int(bounds, np.int32(left))
        _store_int(bounds + 4, np.int32(width))
        _call(job[CROP_SCANLINE], struct, bounds, bounds + 4)
        job[JOB_DECODED_LEFT] = _load_int(bounds)
    stride = 4 * np.int64(_load_int(struct + OUTPUT_WIDTH))
    if stride * height > job[JOB_PIXELS_BYTES]:
        return BUFFER_TOO_SMALL
    job[JOB_STRIDE] = stride
    if job[JOB_TOP] > 0:
        _call(job[SKIP_SCANLINES], struct, job[JOB_TOP], 0)
    rows = carray(_as_int64(job[JOB_ROWS]), height)
    for row in range(height):
        rows[row] = job[JOB_PIXELS] + row * stride
    done = np.int64(0)
    while done < height:
        read = _call(job[READ_SCANLINES], struct, job[JOB_ROWS] + 8 * done, height - done)
        if read <= 0:
            return TRUNCATED
        done += read
    return SUCCESS


@njit(nogil=True, cache=True)
def decode_window(
    addresses: Any,
    job: Any,
    data: Any,
    window: Any,
    image_size: Any,
    eighths: int,
    pixels: Any,
    rows: Any,
    scratch: Any,
    out: Any,
) -> Any:
    """Decode the region that the window needs, and resample it into `out`; return 0 for success.

    `window` has the fields of a CropWindow in their order, `scratch` those of region.RegionDecoder.
    """
    box, (full_width, full_height), (at_x, at_y), (size_x, size_y), mirror = window
    box_left, box_top, box_width, box_height = box
    line, row_buffer, taps, weights = scratch
    job[JOB_FULL_WIDTH], job[JOB_FULL_HEIGHT] = image_size
    width = scaled_length(image_size[0], eighths)
    across, down = taps[0, :size_x], taps[1, :size_y]
    # In an image that is decoded at a fraction of its size, the box may begin within a pixel.
    from_x, rest_x = box_left * eighths // 8, box_left * eighths % 8 / 8
    from_y, rest_y = box_top * eighths // 8, box_top * eighths % 8 / 8
    length_x, length_y = box_width * eighths / 8, box_height * eighths / 8
    most = compute_filter_weights(from_x, rest_x, length_x, full_width, at_x, across, weights[0], mirror)
    compute_filter_weights(from_y, rest_y, length_y, full_height, at_y, down, weights[1], False)
    left, right = across[:, 0].min(), (across[:, 0] + across[:, 1]).max()
    # Chroma is interpolated between neighbors: two more pixels on each side make the edges exact.
    left, right = max(0, left - 2), min(width, right + 2)
    if right - left < MIN_REGION_WIDTH:
        left = max(0, min(left, width - MIN_REGION_WIDTH))
        right = min(width, left + MIN_REGION_WIDTH)
    top, bottom = down[0, 0], down[-1, 0] + down[-1, 1]
    job[JOB_DATA], job[JOB_LENGTH] = data.ctypes.data, len(data)
    job[JOB_LEFT], job[JOB_TOP], job[JOB_WIDTH], job[JOB_HEIGHT] = left, top, right - left, bottom - top
    job[JOB_SCALE_EIGHTHS] = eighths
    job[JOB_PIXELS], job[JOB_PIXELS_BYTES], job[JOB_ROWS] = pixels.ctypes.data, len(pixels), rows.ctypes.data
    outcome = _call_guarded(addresses[0], addresses[1], addresses[2], job.ctypes.data)
    _call(job[DESTROY_DECOMPRESS], addresses[2], 0, 0)
    if outcome == SUCCESS:
        stride, begin = job[JOB_STRIDE], job[JOB_DECODED_LEFT]
        resample(
            pixels, stride, 4, begin, top, across, weights[0], down, weights[1], most, line, row_buffer, out
        )
    return outcome


@njit(nogil=True, cache=True)
def resize_window(pixels: Any, window: Any, scratch: Any, out: Any) -> None:
    """Resample a window of decoded pixels (height x width x 3, contiguous) into `out`."""
    (left, top, width, height), (full_width, full_height), (at_x, at_y), (size_x, size_y), mirror = window
    line, row_buffer, taps, weights = scratch
    across, down = taps[0, :size_x], taps[1, :size_y]
    most = compute_filter_weights(left, 0.0, float(width), full_width, at_x, across, weights[0], mirror)
    compute_filter_weights(top, 0.0, float(height), full_height, at_y, down, weights[1], False)
    stride = 3 * pixels.shape[1]
    resample(
        pixels.reshape(-1), stride, 3, 0, 0, across, weights[0], down, weights[1], most, line, row_buffer, out
    )
