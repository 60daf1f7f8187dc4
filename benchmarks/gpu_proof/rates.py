"""The rate of a copy and of a matrix product, by the wall clock."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch

from benchmarks.gpu_proof.stage import Row, StageContext

REPEATS = 20


def copy_bandwidth(context: StageContext) -> Row:
    """Bytes read and written per second by a copy that no cache holds."""
    size = context.size(2**31, 2**24)
    source, target = (torch.empty(size, dtype=torch.uint8, device=context.device) for _ in range(2))
    seconds = _median_seconds(lambda: target.copy_(source), context)
    return Row("copy bandwidth", f"{2 * size / seconds / 1e9:,.0f} GB/s", f"median of {REPEATS}")


def matrix_rate(context: StageContext) -> Row:
    side = context.size(8192, 256)
    left, right = (torch.randn(side, side, device=context.device).bfloat16() for _ in range(2))
    seconds = _median_seconds(lambda: left @ right, context)
    return Row("bfloat16 matrix product", f"{2 * side**3 / seconds / 1e12:,.1f} TFLOP/s", f"{side} x {side}")


def _median_seconds(call: Callable[[], object], context: StageContext) -> float:
    seconds = []
    for _ in range(REPEATS + 3):
        start = perf_counter()
        call()
        if not context.is_rehearsal:
            torch.cuda.synchronize()
        seconds.append(perf_counter() - start)
    return median(seconds[3:])
