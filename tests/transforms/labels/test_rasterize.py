"""A drawn polygon covers exactly the pixels whose centers lie inside, by exact arithmetic."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from perfsuite.errors import DataError
from perfsuite.transforms.labels import rasterize
from perfsuite.transforms.labels.rasterize import draw_polygon, draw_with_numpy, polygon_mask

HEIGHT, WIDTH = 21, 26
STEPS = 64  # coordinates are whole numbers of 1/64 pixel, so that integers decide every case
COUNT = 10_000
Mask = NDArray[np.bool_]


@pytest.fixture(autouse=True, params=["compiled", "numpy"])
def way_to_draw(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs with both."""
    if request.param == "numpy":
        monkeypatch.setattr(rasterize, "draw_function", lambda: draw_with_numpy)
    else:
        pytest.importorskip("numba")
        assert rasterize.draw_function() is not draw_with_numpy


def oracle(polygon: NDArray[np.int64], height: int, width: int) -> Mask:
    """Even-odd test of every center, in whole numbers of 1/64 pixel.

    A ray upward is crossed by an edge from `a` to `b` if exactly one of them lies at or left of the center,
    and the center lies on the edge or below it.
    """
    y, x = np.indices((height, width)) * STEPS + STEPS // 2
    inside = np.zeros((height, width), np.bool_)
    for (ax, ay), (bx, by) in zip(polygon.tolist(), np.roll(polygon, -1, axis=0).tolist(), strict=True):
        if ax == bx:
            continue
        side = (y - ay) * (bx - ax) - (by - ay) * (x - ax)
        is_below = side >= 0 if bx > ax else side <= 0
        inside ^= ((ax <= x) != (bx <= x)) & is_below
    return inside


def random_polygons(count: int) -> Iterator[NDArray[np.int64]]:
    """Stars, self-crossing polygons and boxes; a third with corners and edges exactly on pixel centers."""
    rng = np.random.default_rng(12)
    for number in range(count):
        corners = int(rng.integers(3, 12))
        polygon = rng.integers(-6 * STEPS, (WIDTH + 6) * STEPS, (corners, 2))
        if number % 3 == 1:  # without self-crossings
            angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
            reach = rng.uniform(2, 14, corners) * STEPS
            middle = rng.integers(0, WIDTH * STEPS, 2)
            polygon = middle + np.stack([np.cos(angles) * reach, np.sin(angles) * reach], 1).astype(np.int64)
        if number % 3 == 2:
            polygon = polygon // (STEPS // 2) * (STEPS // 2)
        yield polygon


def test_10000_polygons_are_drawn_exactly() -> None:
    covered = 0
    for polygon in random_polygons(COUNT):
        expected = oracle(polygon, HEIGHT, WIDTH)
        np.testing.assert_array_equal(polygon_mask(polygon / STEPS, HEIGHT, WIDTH), expected)
        covered += int(expected.sum())
    assert covered > 100 * COUNT


def test_simple_polygons_agree_with_shapely() -> None:
    """Where no center lies on the outline; shapely has no even-odd rule and no rule for the outline."""
    y, x = np.indices((HEIGHT, WIDTH)) + 0.5
    centers = shapely.points(x.ravel(), y.ravel())
    checked = 0
    for number, polygon in enumerate(random_polygons(600)):
        shape = shapely.Polygon(polygon / STEPS)
        if number % 3 != 1 or not shape.is_valid:
            continue
        checked += 1
        expected = shapely.contains(shape, centers).reshape(HEIGHT, WIDTH)
        on_outline = shapely.intersects(shape.exterior, centers).reshape(HEIGHT, WIDTH)
        drawn = polygon_mask(polygon / STEPS, HEIGHT, WIDTH)
        np.testing.assert_array_equal(drawn | on_outline, expected | on_outline)
    assert checked > 100


def test_pillow_draws_other_pixels() -> None:
    """The negative control: Pillow counts coordinates from pixel centers and includes the outline."""
    differing = 0
    for polygon in random_polygons(300):
        canvas = Image.new("1", (WIDTH, HEIGHT))
        ImageDraw.Draw(canvas).polygon([tuple(point) for point in (polygon / STEPS).tolist()], fill=1)
        differing += bool((np.asarray(canvas) != oracle(polygon, HEIGHT, WIDTH)).any())
    assert differing > 250


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_a_drawn_polygon_keeps_the_other_pixels(dtype: type[np.generic]) -> None:
    for polygon in random_polygons(60):
        canvas = np.arange(HEIGHT * WIDTH, dtype=dtype).reshape(HEIGHT, WIDTH)
        expected = np.where(oracle(polygon, HEIGHT, WIDTH), 200, canvas)
        draw_polygon(canvas, polygon / STEPS, 200)
        np.testing.assert_array_equal(canvas, expected)


SQUARE = np.array([[2.0, 2.0], [9.0, 3.0], [8.0, 9.0], [3.0, 8.0]])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # products of such coordinates are infinite
@pytest.mark.parametrize("far", [1e308, -1e308, 1e20])
def test_a_corner_far_away_writes_to_the_canvas_alone(far: float) -> None:
    """Compiled code checks no index."""
    memory = np.zeros((HEIGHT + 64, WIDTH), np.uint8)
    for place in range(8):
        polygon = SQUARE.copy()
        polygon.flat[place] = far
        draw_polygon(memory[32 : 32 + HEIGHT], polygon, 1)
    assert memory[32 : 32 + HEIGHT].any()
    assert not memory[:32].any()
    assert not memory[32 + HEIGHT :].any()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_coordinates_that_are_no_numbers_are_refused(wrong: float) -> None:
    polygon = SQUARE.copy()
    polygon[1, 0] = wrong
    with pytest.raises(DataError, match=r"polygon: it holds -?(nan|inf), expected finite numbers"):
        polygon_mask(polygon, HEIGHT, WIDTH)


def test_a_square_covers_its_area() -> None:
    square = np.array([[2.0, 2.0], [5.0, 2.0], [5.0, 5.0], [2.0, 5.0]])
    mask = polygon_mask(square, 8, 8)
    assert mask.sum() == 9
    assert mask[2:5, 2:5].all()


def test_both_lobes_of_a_figure_eight_are_covered() -> None:
    bow_tie = np.array([[0.0, 0.0], [8.0, 8.0], [8.0, 0.0], [0.0, 8.0]])
    mask = polygon_mask(bow_tie, 8, 8)
    assert mask[4, 0]
    assert mask[4, 7]
    assert not mask[0, 4]
    assert not mask[7, 4]


def test_the_middle_of_a_pentagram_is_not_covered() -> None:
    angles = np.arange(5) * (4 * np.pi / 5) - np.pi / 2
    star = 20 + 19 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    mask = polygon_mask(star, 40, 40)
    assert not mask[20, 20]
    assert mask[5, 19] or mask[5, 20]


@pytest.mark.parametrize("seed", range(5))
def test_adjoining_polygons_neither_overlap_nor_leave_a_gap(seed: int) -> None:
    """Triangles that meet in a random point tile the image."""
    rng = np.random.default_rng(seed)
    border = np.array([[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]], np.float64)
    middle = rng.uniform(1, 20, 2)
    covered = np.zeros((HEIGHT, WIDTH), np.int64)
    for corner, following in zip(border, np.roll(border, -1, axis=0), strict=True):
        covered += polygon_mask(np.array([corner, following, middle]), HEIGHT, WIDTH)
    assert (covered == 1).all()


@pytest.mark.parametrize(
    "polygon",
    [
        [],
        [[1, 1]],
        [[1, 1], [5, 5]],
        [[1, 1], [5, 5], [1, 1]],
        [[100, 100], [200, 100], [150, 200]],
        [[-9, -9], [-5, -9], [-5, -2]],
        [[1e30, 0], [2e30, 0], [2e30, 5]],
    ],
)
def test_polygons_without_area_or_outside_cover_nothing(polygon: list[list[float]]) -> None:
    assert not polygon_mask(np.array(polygon, np.float64).reshape(-1, 2), HEIGHT, WIDTH).any()


def test_a_polygon_around_the_image_covers_all_of_it() -> None:
    huge = np.array([[-1e7, -1e7], [1e7, -1e7], [1e7, 1e7], [-1e7, 1e7]])
    assert polygon_mask(huge, HEIGHT, WIDTH).all()
