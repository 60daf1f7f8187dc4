"""Triton kernels for a whole mode: each pixel is moved and brightened once, then mixed once, all in bytes.

Two kernels, as contrast needs the mean of the whole image: the first leaves exact sums of each channel
beside its answer. No value comes back to the host, so a CUDA graph may record both, once a first call has
compiled them.
"""

# ruff: noqa: N803 - constants of a kernel are written in capitals.
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import torch
import triton
import triton.language as tl

from perfsuite.transforms.augment.cpu import LUMA_WEIGHTS

BLOCK = 1024
RED, GREEN, BLUE = (tl.constexpr(weight) for weight in LUMA_WEIGHTS)
# Added to a float32 and taken away again, it leaves the nearest whole number, half to even.
ROUND_TO_NEAREST = tl.constexpr(1.5 * 2**23)


@triton.jit
def _round_to_byte(value):
    """Rounded half to even, clamped; still float32."""
    return tl.minimum(tl.maximum((value + ROUND_TO_NEAREST) - ROUND_TO_NEAREST, 0.0), 255.0)


@triton.jit
def _add(one, other):
    return one + other


@triton.jit
def _pixel_or_fill(plane, x, y, w, h, h_stride, w_stride, fill, wanted):
    """The pixel of a plane, or `fill` where there is none."""
    inside = wanted & (x >= 0) & (x < w) & (y >= 0) & (y < h)
    place = plane + y.to(tl.int64) * h_stride + x.to(tl.int64) * w_stride
    return tl.where(inside, tl.load(place, mask=inside, other=0).to(tl.float32), fill)


@triton.jit
def _warp_kernel(
    images, out, sums, backward, factors, h, w, n_stride, c_stride, h_stride, w_stride, fill, blocks,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Geometry and brightness: bilinear from four neighbors, each `fill` where it lies outside."""
    program = tl.program_id(0)
    n = program // blocks
    i = (program % blocks) * BLOCK + tl.arange(0, BLOCK)
    wanted = i < h * w
    x, y = (i % w).to(tl.float32) + 0.5, (i // w).to(tl.float32) + 0.5
    maps = backward + n * 6
    from_x = tl.load(maps) * x + tl.load(maps + 1) * y + tl.load(maps + 2) - 0.5
    from_y = tl.load(maps + 3) * x + tl.load(maps + 4) * y + tl.load(maps + 5) - 0.5
    # Far outside is as good as just outside, and fits a whole number.
    from_x = tl.minimum(tl.maximum(from_x, -2.0), w + 1.0)
    from_y = tl.minimum(tl.maximum(from_y, -2.0), h + 1.0)
    left, top = tl.floor(from_x), tl.floor(from_y)
    across, down = from_x - left, from_y - top
    column, row = left.to(tl.int32), top.to(tl.int32)
    brightness = tl.load(factors + n * 3)
    for c in tl.static_range(3):
        plane = images + n.to(tl.int64) * n_stride + c * c_stride
        upper = _pixel_or_fill(plane, column, row, w, h, h_stride, w_stride, fill, wanted) * (1 - across)
        upper += _pixel_or_fill(plane, column + 1, row, w, h, h_stride, w_stride, fill, wanted) * across
        lower = _pixel_or_fill(plane, column, row + 1, w, h, h_stride, w_stride, fill, wanted) * (1 - across)
        lower += _pixel_or_fill(plane, column + 1, row + 1, w, h, h_stride, w_stride, fill, wanted) * across
        value = _round_to_byte(_round_to_byte(upper * (1 - down) + lower * down) * brightness)
        tl.store(out + (n * 3 + c).to(tl.int64) * (h * w) + i, value.to(tl.uint8), mask=wanted)
        here = tl.reduce(tl.where(wanted, value, 0.0).to(tl.int32), 0, _add)
        # Nothing else is ordered by it: the kernel's end is what the next one waits for.
        tl.atomic_add(sums + n * 3 + c, here.to(tl.int64), sem="relaxed")


@triton.jit
def _color_kernel(out, sums, factors, erased, h, w, fill, blocks, BLOCK: tl.constexpr):
    """Contrast about the image's mean gray, saturation about each pixel's, and the rectangle; in place."""
    program = tl.program_id(0)
    n = program // blocks
    i = (program % blocks) * BLOCK + tl.arange(0, BLOCK)
    wanted = i < h * w
    size = h * w
    reds = out + (n * 3).to(tl.int64) * size + i
    total = tl.load(sums + n * 3).to(tl.float64) * RED
    total += tl.load(sums + n * 3 + 1).to(tl.float64) * GREEN
    total += tl.load(sums + n * 3 + 2).to(tl.float64) * BLUE
    contrast, saturation = tl.load(factors + n * 3 + 1), tl.load(factors + n * 3 + 2)
    pivot = (1 - contrast) * (total / size).to(tl.float32)
    red = _round_to_byte(tl.load(reds, mask=wanted, other=0).to(tl.float32) * contrast + pivot)
    green = _round_to_byte(tl.load(reds + size, mask=wanted, other=0).to(tl.float32) * contrast + pivot)
    blue = _round_to_byte(tl.load(reds + 2 * size, mask=wanted, other=0).to(tl.float32) * contrast + pivot)
    gray = (1 - saturation) * (red * RED + green * GREEN + blue * BLUE)
    x, y = (i % w).to(tl.float32), (i // w).to(tl.float32)
    rectangle = erased + n * 4
    gone = (y >= tl.load(rectangle)) & (x >= tl.load(rectangle + 1))
    gone &= (y < tl.load(rectangle + 2)) & (x < tl.load(rectangle + 3))
    red = tl.where(gone, fill, _round_to_byte(red * saturation + gray))
    green = tl.where(gone, fill, _round_to_byte(green * saturation + gray))
    blue = tl.where(gone, fill, _round_to_byte(blue * saturation + gray))
    tl.store(reds, red.to(tl.uint8), mask=wanted)
    tl.store(reds + size, green.to(tl.uint8), mask=wanted)
    tl.store(reds + 2 * size, blue.to(tl.uint8), mask=wanted)


def augment_prepared_triton(
    batch: torch.Tensor,
    backward: torch.Tensor,
    factors: torch.Tensor,
    erased: torch.Tensor,
    fill: int,
) -> torch.Tensor:
    """What `on_device.augmented` makes of the batch, whatever its strides, as dense NCHW."""
    n, _, h, w = batch.shape
    out = torch.empty((n, 3, h, w), dtype=torch.uint8, device=batch.device)
    if out.numel() == 0:
        return out
    sums = torch.zeros((n, 3), dtype=torch.int64, device=batch.device)
    blocks = triton.cdiv(h * w, BLOCK)
    grid = (n * blocks,)
    _warp_kernel[grid](
        batch, out, sums, backward, factors, h, w, *batch.stride(), float(fill), blocks,
        BLOCK=BLOCK, enable_fp_fusion=False,
    )  # fmt: skip
    _color_kernel[grid](
        out, sums, factors, erased, h, w, float(fill), blocks, BLOCK=BLOCK, enable_fp_fusion=False
    )
    return out
