"""Elastic and grid distortion: the labels go where the picture goes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from perfsuite.errors import UsageError
from perfsuite.transforms.distort import Field, elastic, grid

pytest.importorskip("cv2", reason="OpenCV is not installed")

Make = Callable[[int], Field]
KINDS: dict[str, Make] = {
    "elastic": lambda seed: elastic(90, 120, 4.0, 12.0, np.random.default_rng(seed)),
    "grid": lambda seed: grid(90, 120, 4, 3.5, np.random.default_rng(seed)),
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", KINDS)
def test_a_keypoint_stays_on_its_spot(kind: str, seed: int) -> None:
    field = KINDS[kind](seed)
    picture = np.zeros((90, 120, 3), dtype=np.uint8)
    picture[31:36, 45:50] = 255
    moved = field.picture(picture, fill=0)[..., 0].astype(float)
    rows, columns = np.indices(moved.shape) + 0.5
    seen = [(columns * moved).sum() / moved.sum(), (rows * moved).sum() / moved.sum()]
    assert seen == pytest.approx(field.points(np.array([[47.5, 33.5]]))[0], abs=0.25)


@pytest.mark.parametrize("kind", KINDS)
def test_it_moves_what_it_says_it_moves(kind: str) -> None:
    points = np.random.default_rng(0).uniform((10, 10), (110, 80), (50, 2))
    moved = KINDS[kind](1).points(points)
    assert np.abs(moved - points).max() > 1


@pytest.mark.parametrize("kind", KINDS)
def test_classes_are_never_mixed(kind: str) -> None:
    classes = np.zeros((90, 120), dtype=np.int64)
    classes[20:70, 30:90] = 9
    assert set(np.unique(KINDS[kind](2).classes(classes, fill=255))) <= {0, 9, 255}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_bends_the_same_way(kind: str) -> None:
    assert np.array_equal(KINDS[kind](3).dx, KINDS[kind](3).dx)
    assert not np.array_equal(KINDS[kind](3).dx, KINDS[kind](4).dx)


def test_no_field_moves_nothing() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    still = Field(np.zeros((20, 30)), np.zeros((20, 30)))
    assert np.array_equal(still.picture(picture), picture)


def test_a_field_that_folds_is_refused() -> None:
    with pytest.raises(UsageError, match="would fold over itself"):
        elastic(40, 40, 30.0, 1.0, np.random.default_rng(0))


def test_too_few_cells_or_pixels_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 2"):
        grid(40, 40, 1, 1.0, np.random.default_rng(0))
    with pytest.raises(UsageError, match="at least 2 x 2"):
        elastic(1, 40, 1.0, 1.0, np.random.default_rng(0))
