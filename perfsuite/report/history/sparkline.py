"""A series as a line of block characters."""

from __future__ import annotations

import numpy as np

from perfsuite.judge.arrays import FloatArray
from perfsuite.judge.history.segmentation import noise_scale

BLOCKS = "▁▂▃▄▅▆▇█"
_LEAST_RANGE = 0.05  # 5 % fill the height: less would magnify noise


def render_sparkline(seconds: FloatArray, width: int) -> str:
    """Medians of `width` stretches of the series, on a logarithmic scale.

    >>> render_sparkline(np.array([1.0] * 8 + [1.2] * 8), 8)
    '▁▁▁▁████'
    """
    logs = np.log(seconds)
    parts = np.array_split(logs, min(width, len(logs)))
    middles = np.array([np.median(part) for part in parts])
    reach = max(float(np.ptp(middles)), _LEAST_RANGE, 4 * noise_scale(logs) if len(logs) > width else 0.0)
    center = (middles.max() + middles.min()) / 2
    heights = np.clip((middles - center) / reach + 0.5, 0, 1) * (len(BLOCKS) - 1)
    return "".join(BLOCKS[round(float(height))] for height in heights)
