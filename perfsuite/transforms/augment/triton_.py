"""Triton kernels for a whole mode: all geometry, then the pixel operations in as few passes as possible.

The first kernel samples each pixel and applies the operations of the first pass. A further pass begins at
each operation that needs the mean of the whole image (today contrast, so there are two kernels): the pass
before it adds up each channel exactly, in int64. No value is copied back to the host, so a CUDA graph can
record all of it, once a first call has compiled the kernels.
"""

# ruff: noqa: N803 - constants of a kernel are written in capitals.
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import triton
import triton.language as tl

from perfsuite.transforms.augment import triton_arithmetic
from perfsuite.transforms.augment.device_parameters import AFFINE_COLUMNS, PIXEL_PARAMETER_COLUMNS
from perfsuite.transforms.augment.operations.base import PixelOperation
from perfsuite.transforms.augment.triton_arithmetic import BLUE, GREEN, RED

BLOCK = 1024
# Compiled here and not where it is defined, so that a copy of this module can be interpreted.
round_to_byte = triton.jit(triton_arithmetic.round_to_byte)
# Globals of every operation's Triton function; the files of the operations do not import Triton.
_FORM_GLOBALS = {"tl": tl, "round_to_byte": round_to_byte, "RED": RED, "GREEN": GREEN, "BLUE": BLUE}


@dataclass(frozen=True)
class KernelPass:
    """The operations that one kernel applies: their compiled forms and where their parameters lie."""

    forms: tuple[Any, ...]
    offsets: tuple[int, ...]

    @property
    def key(self) -> str:
        """The forms' source. Triton's disk cache keys a constant tuple by the functions' names alone."""
        return "-".join(getattr(form, "cache_key", "interpreted") for form in self.forms)

    @property
    def constants(self) -> dict[str, Any]:
        return {"FORMS": self.forms, "OFFSETS": self.offsets, "FORMS_KEY": self.key}


def _bind_form(operation: type[PixelOperation]) -> Any:
    """Compile an operation's form, which is written without importing Triton."""
    form: Callable[..., Any] = operation.apply_triton
    bound = types.FunctionType(form.__code__, form.__globals__ | _FORM_GLOBALS, form.__name__)
    bound.__module__, bound.__qualname__ = form.__module__, form.__qualname__
    return triton.jit(bound)


def _kernel_passes() -> tuple[KernelPass, ...]:
    """The pixel operations in order, split before each that needs the mean."""
    passes: list[list[tuple[Any, int]]] = [[]]
    for operation, first, _ in PIXEL_PARAMETER_COLUMNS:
        if operation.needs_mean:
            passes.append([])
        passes[-1].append((_bind_form(operation), first))
    return tuple(
        KernelPass(forms=tuple(form for form, _ in steps), offsets=tuple(first for _, first in steps))
        for steps in passes
    )


PASSES = _kernel_passes()
ROW = AFFINE_COLUMNS + sum(count for _, _, count in PIXEL_PARAMETER_COLUMNS)


@triton.jit
def _add(one, other):
    return one + other


@triton.jit
def _pixel_or_fill(plane, x, y, w, h, h_stride, w_stride, fill, is_pixel):
    """The pixel of a plane, or `fill` where it lies outside."""
    inside = is_pixel & (x >= 0) & (x < w) & (y >= 0) & (y < h)
    address = plane + y.to(tl.int64) * h_stride + x.to(tl.int64) * w_stride
    return tl.where(inside, tl.load(address, mask=inside, other=0).to(tl.float32), fill)


@triton.jit
def _sample_bilinear(plane, column, row, across, down, w, h, h_stride, w_stride, fill, is_pixel):
    """Between four neighbors, each `fill` where it lies outside; a byte in float32."""
    upper = _pixel_or_fill(plane, column, row, w, h, h_stride, w_stride, fill, is_pixel) * (1 - across)
    upper += _pixel_or_fill(plane, column + 1, row, w, h, h_stride, w_stride, fill, is_pixel) * across
    lower = _pixel_or_fill(plane, column, row + 1, w, h, h_stride, w_stride, fill, is_pixel) * (1 - across)
    lower += _pixel_or_fill(plane, column + 1, row + 1, w, h, h_stride, w_stride, fill, is_pixel) * across
    return round_to_byte(upper * (1 - down) + lower * down)


@triton.jit
def _add_to_sum(total, value, is_pixel):
    part = tl.reduce(tl.where(is_pixel, value, 0.0).to(tl.int32), 0, _add)
    # Relaxed: the end of the kernel orders the sum before the next kernel.
    tl.atomic_add(total, part.to(tl.int64), sem="relaxed")


@triton.jit
def _store_pixels(out, sums, red, green, blue, size, is_pixel, LEAVES_SUMS: tl.constexpr):
    tl.store(out, red.to(tl.uint8), mask=is_pixel)
    tl.store(out + size, green.to(tl.uint8), mask=is_pixel)
    tl.store(out + 2 * size, blue.to(tl.uint8), mask=is_pixel)
    if LEAVES_SUMS:
        _add_to_sum(sums, red, is_pixel)
        _add_to_sum(sums + 1, green, is_pixel)
        _add_to_sum(sums + 2, blue, is_pixel)


@triton.jit
def _warp_kernel(
    images, out, sums, rows, h, w, n_stride, c_stride, h_stride, w_stride, fill, blocks,
    FORMS: tl.constexpr, OFFSETS: tl.constexpr, FORMS_KEY: tl.constexpr, ROW: tl.constexpr,
    LEAVES_SUMS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """All geometry, then the operations of the first pass."""
    program = tl.program_id(0)
    n = program // blocks
    i = (program % blocks) * BLOCK + tl.arange(0, BLOCK)
    is_pixel = i < h * w
    x, y = (i % w).to(tl.float32), (i // w).to(tl.float32)
    row = rows + n * ROW
    center_x, center_y = x + 0.5, y + 0.5
    from_x = tl.load(row) * center_x + tl.load(row + 1) * center_y + tl.load(row + 2) - 0.5
    from_y = tl.load(row + 3) * center_x + tl.load(row + 4) * center_y + tl.load(row + 5) - 0.5
    # Far outside gives the same as just outside, and fits an int32.
    from_x = tl.minimum(tl.maximum(from_x, -2.0), w + 1.0)
    from_y = tl.minimum(tl.maximum(from_y, -2.0), h + 1.0)
    left, top = tl.floor(from_x), tl.floor(from_y)
    across, down = from_x - left, from_y - top
    column, line = left.to(tl.int32), top.to(tl.int32)
    plane = images + n.to(tl.int64) * n_stride
    red = _sample_bilinear(plane, column, line, across, down, w, h, h_stride, w_stride, fill, is_pixel)
    plane += c_stride
    green = _sample_bilinear(plane, column, line, across, down, w, h, h_stride, w_stride, fill, is_pixel)
    plane += c_stride
    blue = _sample_bilinear(plane, column, line, across, down, w, h, h_stride, w_stride, fill, is_pixel)
    for k in tl.static_range(len(FORMS)):
        red, green, blue = FORMS[k](red, green, blue, x, y, 0.0, row + OFFSETS[k], fill)
    pixels = out + (n * 3).to(tl.int64) * (h * w) + i
    _store_pixels(pixels, sums + n * 3, red, green, blue, h * w, is_pixel, LEAVES_SUMS)


@triton.jit
def _pixel_kernel(
    out, sums, next_sums, rows, h, w, fill, blocks,
    FORMS: tl.constexpr, OFFSETS: tl.constexpr, FORMS_KEY: tl.constexpr, ROW: tl.constexpr,
    LEAVES_SUMS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The operations of a further pass, in place. The first of them needs the mean gray of the image."""
    program = tl.program_id(0)
    n = program // blocks
    i = (program % blocks) * BLOCK + tl.arange(0, BLOCK)
    size = h * w
    is_pixel = i < size
    pixels = out + (n * 3).to(tl.int64) * size + i
    total = tl.load(sums + n * 3).to(tl.float64) * RED
    total += tl.load(sums + n * 3 + 1).to(tl.float64) * GREEN
    total += tl.load(sums + n * 3 + 2).to(tl.float64) * BLUE
    mean = (total / size).to(tl.float32)
    red = tl.load(pixels, mask=is_pixel, other=0).to(tl.float32)
    green = tl.load(pixels + size, mask=is_pixel, other=0).to(tl.float32)
    blue = tl.load(pixels + 2 * size, mask=is_pixel, other=0).to(tl.float32)
    x, y = (i % w).to(tl.float32), (i // w).to(tl.float32)
    row = rows + n * ROW
    for k in tl.static_range(len(FORMS)):
        red, green, blue = FORMS[k](red, green, blue, x, y, mean, row + OFFSETS[k], fill)
    _store_pixels(pixels, next_sums + n * 3, red, green, blue, size, is_pixel, LEAVES_SUMS)


def augment_prepared_triton(batch: torch.Tensor, rows: torch.Tensor, fill: int) -> torch.Tensor:
    """The batch augmented by the rows of `DeviceParameters`, whatever its strides, as dense NCHW."""
    n, _, h, w = batch.shape
    out = torch.empty((n, 3, h, w), dtype=torch.uint8, device=batch.device)
    if out.numel() == 0:
        return out
    sums = torch.zeros((len(PASSES), n, 3), dtype=torch.int64, device=batch.device)
    blocks = triton.cdiv(h * w, BLOCK)
    grid = (n * blocks,)
    first, *further = PASSES
    _warp_kernel[grid](
        batch, out, sums[0], rows, h, w, *batch.stride(), float(fill), blocks,
        **first.constants, ROW=ROW, LEAVES_SUMS=bool(further), BLOCK=BLOCK, enable_fp_fusion=False,
    )  # fmt: skip
    for k, kernel_pass in enumerate(further, start=1):
        _pixel_kernel[grid](
            out, sums[k - 1], sums[k], rows, h, w, float(fill), blocks,
            **kernel_pass.constants, ROW=ROW, LEAVES_SUMS=k < len(further), BLOCK=BLOCK,
            enable_fp_fusion=False,
        )  # fmt: skip
    return out
