"""Blur is a Gaussian, and none where the deviation is zero."""

from __future__ import annotations

import numpy as np
import pytest

from perfsuite.errors import UsageError
from perfsuite.transforms.augment.blur import blur

IMAGE = np.random.default_rng(0).integers(0, 256, (21, 34, 3), dtype=np.uint8)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.5])
def test_blur_is_a_gaussian(sigma: float) -> None:
    reach = round(4 * sigma)
    kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    kernel /= kernel.sum()
    padded = np.pad(IMAGE.astype(float), ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    rows = np.sum([weight * padded[i : i + 21] for i, weight in enumerate(kernel)], axis=0)
    expected = np.sum([weight * rows[:, i : i + 34] for i, weight in enumerate(kernel)], axis=0)
    assert np.abs(blur(IMAGE, sigma) - expected).max() < 1.6  # OpenCV's weights have 8 bits


def test_a_deviation_of_zero_returns_the_image_itself() -> None:
    assert blur(IMAGE, 0) is IMAGE


def test_a_negative_deviation_is_refused() -> None:
    with pytest.raises(UsageError, match="expected 0 or more"):
        blur(IMAGE, -1)
