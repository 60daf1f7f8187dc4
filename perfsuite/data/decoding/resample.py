"""Pillow's antialiased bilinear resize, compiled: only the crop, written into its place in a batch.

The filter is a triangle as wide as the reduction, clamped at the edges of the source, as in Pillow. Rows are
summed first, in float32, and rounded once at the end; Pillow also rounds between its two passes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

FASTMATH_FLAGS = {"contract", "nsz"}
MAX_UNROLLED_TAPS = 6


def _make_weighted_sum(unrolled: int) -> Any:
    """One output pixel from floats `step` bytes apart, four lanes at once; with 0 unrolled taps, a loop."""

    @intrinsic
    def weighted_sum(context: Any, line: Any, step: Any, weights: Any, taps: Any, out: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            line, step, weights, taps, out = arguments
            word, long, real = ir.IntType(32), ir.IntType(64), ir.FloatType()
            four = ir.VectorType(real, 4)
            undefined = ir.Constant(four, ir.Undefined)
            all_lanes = ir.Constant(ir.VectorType(word, 4), [0] * 4)

            def weighted_pixel(tap: Any) -> Any:
                at = builder.add(weights, builder.mul(tap, long(4)))
                weight = builder.load(builder.inttoptr(at, real.as_pointer()))
                at = builder.add(line, builder.mul(tap, step))
                pixel = builder.load(builder.inttoptr(at, four.as_pointer()))
                pixel.align = 4
                spread = builder.insert_element(undefined, weight, word(0))
                spread = builder.shuffle_vector(spread, undefined, all_lanes)
                return builder.fmul(spread, pixel, flags=("contract",))

            total: Any = ir.Constant(four, [0.5] * 4)
            if unrolled:
                for tap in range(unrolled):
                    total = builder.fadd(total, weighted_pixel(long(tap)), flags=("contract",))
            else:
                variable = cgutils.alloca_once_value(builder, total)
                with cgutils.for_range(builder, taps) as loop:
                    partial_sum = builder.load(variable)
                    pixel = weighted_pixel(loop.index)
                    builder.store(builder.fadd(partial_sum, pixel, flags=("contract",)), variable)
                total = builder.load(variable)
            rounded = builder.fptosi(total, ir.VectorType(word, 4))
            four_bytes = builder.bitcast(builder.trunc(rounded, ir.VectorType(ir.IntType(8), 4)), word)
            store = builder.store(four_bytes, builder.inttoptr(out, word.as_pointer()))
            store.align = 1
            return context.get_dummy_value()

        return types.void(*[types.int64] * 5), build

    return weighted_sum


_sum_3_taps, _sum_4_taps, _sum_6_taps, _sum_any_taps = (
    _make_weighted_sum(unrolled) for unrolled in (3, 4, MAX_UNROLLED_TAPS, 0)
)


@njit(nogil=True, cache=True)
def compute_filter_weights(
    source_from: int,
    offset: float,
    source_length: float,
    full: int,
    first: int,
    taps: Any,
    weights: Any,
    mirror: bool,
) -> int:
    """Fill (start, count) and weights of each output from `first` of `full`; return the largest count.

    The source begins at `offset` (0 to 1) within the pixel `source_from`. If mirrored, the outputs are filled
    in reverse.
    """
    outputs, columns = len(taps), int(np.ceil(offset + source_length))
    scale = source_length / full
    reach = max(scale, 1.0)
    most = 0
    for index in range(outputs):
        output = outputs - 1 - index if mirror else index
        center = offset + (first + index + 0.5) * scale
        start = max(0, int(center - reach + 0.5))
        count = min(columns, int(center + reach + 0.5)) - start
        total = 0.0
        for tap in range(count):
            total += max(0.0, 1.0 - abs((start + tap - center + 0.5) / reach))
        for tap in range(count):
            weight = max(0.0, 1.0 - abs((start + tap - center + 0.5) / reach))
            weights[output, tap] = weight / total
        for tap in range(count, MAX_UNROLLED_TAPS):
            weights[output, tap] = 0.0
        taps[output, 0] = source_from + start
        taps[output, 1] = count
        most = max(most, count)
    return most


@njit(nogil=True, cache=True, fastmath=FASTMATH_FLAGS)
def _start_weighted_row(line: Any, row: Any, weight: Any, length: int) -> None:
    for i in range(length):
        line[i] = weight * np.float32(row[i])


@njit(nogil=True, cache=True, fastmath=FASTMATH_FLAGS)
def _add_weighted_row(line: Any, row: Any, weight: Any, length: int) -> None:
    for i in range(length):
        line[i] += weight * np.float32(row[i])


@njit(nogil=True, cache=True)
def resample(
    pixels: Any,
    stride: int,
    channels: int,
    left: int,
    top: int,
    across: Any,
    across_weights: Any,
    down: Any,
    down_weights: Any,
    most: int,
    line: Any,
    row_buffer: Any,
    out: Any,
) -> None:
    """Resample RGB or RGBX rows that begin at (left, top) of the source into `out` (height, width, 3).

    `line` has space for a row of floats, `row_buffer` for a row of the result and one more byte, because four
    bytes are stored at a time.
    """
    columns = len(across)
    first = across[0, 0]
    last = across[0, 0] + across[0, 1]
    for column in range(columns):
        first = min(first, across[column, 0])
        last = max(last, across[column, 0] + across[column, 1])
    length = channels * (last - first)
    begin = channels * (first - left)
    line_at, weights_at = line.ctypes.data, across_weights.ctypes.data
    column_stride, buffer_at = across_weights.strides[0], row_buffer.ctypes.data
    step = 4 * channels
    for row in range(len(down)):
        at = (down[row, 0] - top) * stride + begin
        _start_weighted_row(line, pixels[at : at + length], down_weights[row, 0], length)
        for tap in range(1, down[row, 1]):
            at += stride
            _add_weighted_row(line, pixels[at : at + length], down_weights[row, tap], length)
        if most <= 3:
            for c in range(columns):
                source, target = line_at + step * (across[c, 0] - first), buffer_at + 3 * c
                _sum_3_taps(source, step, weights_at + c * column_stride, 0, target)
        elif most <= 4:
            for c in range(columns):
                source, target = line_at + step * (across[c, 0] - first), buffer_at + 3 * c
                _sum_4_taps(source, step, weights_at + c * column_stride, 0, target)
        elif most <= MAX_UNROLLED_TAPS:
            for c in range(columns):
                source, target = line_at + step * (across[c, 0] - first), buffer_at + 3 * c
                _sum_6_taps(source, step, weights_at + c * column_stride, 0, target)
        else:
            for c in range(columns):
                source, target = line_at + step * (across[c, 0] - first), buffer_at + 3 * c
                _sum_any_taps(source, step, weights_at + c * column_stride, across[c, 1], target)
        output_row = out[row].reshape(3 * columns)
        for i in range(3 * columns):
            output_row[i] = row_buffer[i]
