"""Single operations: quarter turns, blur, erasing, jitter."""

from __future__ import annotations

import numpy as np
import pytest

from perfsuite.errors import UsageError
from perfsuite.transforms.augment.single_operations import ColorJitter, RandomErasing, blur, quarter_turn

IMAGE = np.random.default_rng(0).integers(0, 256, (21, 34, 3), dtype=np.uint8)


@pytest.mark.parametrize("turns", range(-2, 6))
def test_turning_is_rot90(turns: int) -> None:
    assert np.array_equal(quarter_turn(IMAGE, turns), np.rot90(IMAGE, turns))


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.5])
def test_blur_is_a_gaussian(sigma: float) -> None:
    reach = round(4 * sigma)
    kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    kernel /= kernel.sum()
    padded = np.pad(IMAGE.astype(float), ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    rows = sum(k * padded[i : i + 21] for i, k in enumerate(kernel))
    right = sum(k * rows[:, i : i + 34] for i, k in enumerate(kernel))
    assert np.abs(blur(IMAGE, sigma) - right).max() < 1.6  # OpenCV's weights have 8 bits


def test_no_blur_is_the_image_itself() -> None:
    assert blur(IMAGE, 0) is IMAGE
    with pytest.raises(UsageError, match="expected 0 or more"):
        blur(IMAGE, -1)


def test_jitter_repeats_itself_and_differs_between_samples() -> None:
    jitter = ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4)
    assert np.array_equal(jitter(IMAGE, 1, 0, 5), jitter(IMAGE, 1, 0, 5))
    assert not np.array_equal(jitter(IMAGE, 1, 0, 5), jitter(IMAGE, 1, 0, 6))
    assert np.array_equal(ColorJitter()(IMAGE, 1, 0, 5), IMAGE)


def test_erasing_fills_one_rectangle() -> None:
    erased = RandomErasing(probability=1.0, fill=7)(IMAGE, 1, 0, 3)
    changed = (erased != IMAGE).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert (erased[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] == 7).all()
    assert 0.1 * 21 - 1 <= len(rows) <= 0.4 * 21 + 1
    assert np.array_equal(RandomErasing(probability=0.0)(IMAGE, 1, 0, 3), IMAGE)
