"""The names that the Triton forms of the operations share: rounding and luma weights.

Functions are plain here; `triton_` compiles them.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import triton.language as tl

from perfsuite.transforms.arrays import LUMA_WEIGHTS

RED, GREEN, BLUE = (tl.constexpr(weight) for weight in LUMA_WEIGHTS)
# Added to a float32 and subtracted again, it leaves the nearest whole number, half to even.
ROUND_TO_NEAREST = tl.constexpr(1.5 * 2**23)


def round_to_byte(value):
    """Round half to even and clamp to 0..255; still float32."""
    return tl.minimum(tl.maximum((value + ROUND_TO_NEAREST) - ROUND_TO_NEAREST, 0.0), 255.0)
