"""Transformed labels lie where the transformed image shows them, and dropped labels are counted."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from perfsuite.errors import DataError
from perfsuite.transforms.augment import cpu
from perfsuite.transforms.augment.parameters import AugmentationParameters, draw_parameters
from perfsuite.transforms.geometry import invert_affine
from perfsuite.transforms.labels.boxes import transform_boxes
from perfsuite.transforms.labels.keypoints import transform_points
from perfsuite.transforms.labels.labels import Labels, transform_labels
from perfsuite.transforms.labels.maps import warp_map
from perfsuite.transforms.labels.polygons import clip_polygon, covered_area, is_degenerate, polygon_area

DRAWS = [
    AugmentationParameters(),
    AugmentationParameters(mirror=True),
    AugmentationParameters(quarter_turns=1),
    AugmentationParameters(quarter_turns=3, mirror=True),
    AugmentationParameters(degrees=20.0),
    AugmentationParameters(zoom=1.2, shift_x=0.1),
    *(draw_parameters("aggressive", 9, 0, index) for index in range(4)),
]
HEIGHT, WIDTH = 80, 110


@pytest.mark.parametrize("parameters", DRAWS)
def test_a_keypoint_moves_with_its_pixels(parameters: AugmentationParameters) -> None:
    """The keypoint is at the center of mass of a bright square on black."""
    image = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    image[36:41, 57:62] = 255
    moved = cpu.warp_image(parameters, image, fill=0)[..., 0].astype(float)
    rows, columns = np.indices(moved.shape) + 0.5
    center = [(columns * moved).sum() / moved.sum(), (rows * moved).sum() / moved.sum()]
    expected = transform_points(np.array([[59.5, 38.5]]), parameters.affine.affine_matrix(HEIGHT, WIDTH))[0]
    assert center == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("parameters", DRAWS)
def test_a_box_and_a_polygon_move_with_their_pixels(parameters: AugmentationParameters) -> None:
    image = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    image[30:50, 45:75] = 255
    moved = cpu.warp_image(parameters, image, fill=0)[..., 0] > 128
    corners = np.array([[45.0, 30.0], [75.0, 30.0], [75.0, 50.0], [45.0, 50.0]])
    labels = Labels(boxes=np.array([[45.0, 30.0, 75.0, 50.0]]), polygons=(corners,))
    height, width = parameters.affine.output_size(HEIGHT, WIDTH)
    transformed = transform_labels(
        labels, parameters.affine.affine_matrix(HEIGHT, WIDTH), height, width
    ).labels
    rows, columns = np.nonzero(moved)
    left, top, right, bottom = transformed.boxes[0]
    assert (left, top) == pytest.approx((columns.min(), rows.min()), abs=1.01)
    assert (right, bottom) == pytest.approx((columns.max() + 1, rows.max() + 1), abs=1.01)
    assert polygon_area(transformed.polygons[0]) == pytest.approx(moved.sum(), rel=0.03)


@pytest.mark.parametrize("parameters", DRAWS)
def test_a_map_of_classes_moves_with_the_image_and_mixes_no_classes(
    parameters: AugmentationParameters,
) -> None:
    classes = np.zeros((HEIGHT, WIDTH), dtype=np.int64)
    classes[30:50, 45:75] = 7
    height, width = parameters.affine.output_size(HEIGHT, WIDTH)
    moved = warp_map(
        classes, invert_affine(parameters.affine.affine_matrix(HEIGHT, WIDTH)), height, width, fill=255
    )
    assert set(np.unique(moved)) <= {0, 7, 255}
    image = np.repeat((classes[..., None] > 0).astype(np.uint8) * 255, 3, axis=2)
    shown = cpu.warp_image(parameters, image, fill=0)[..., 0] > 127
    assert (shown != (moved == 7)).mean() < 0.01


def test_a_map_of_floats_is_interpolated_like_an_image() -> None:
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    parameters = AugmentationParameters(degrees=11.0, zoom=1.1)
    inverse = invert_affine(parameters.affine.affine_matrix(40, 50))
    moved = warp_map(image.astype(np.float32), inverse, 40, 50, fill=128).astype(float)
    difference = np.abs(moved - cpu.warp_image(parameters, image, fill=128))
    assert difference.max() < 5
    assert difference.mean() < 0.7


def test_no_keypoint_is_dropped_and_each_is_marked_inside_or_outside() -> None:
    labels = Labels(keypoints=np.array([[1.0, 5.0], [30.0, 5.0], [19.99, 9.99]]))
    transformed = transform_labels(labels, np.eye(3), height=10, width=20)
    assert transformed.labels.keypoints.tolist() == labels.keypoints.tolist()
    assert transformed.keypoints_inside.tolist() == [True, False, True]


def test_labels_outside_the_image_are_dropped_and_counted() -> None:
    inner, outer = np.array([[1.0, 1.0], [5.0, 1.0], [5.0, 5.0]]), np.array([[30.0, 1], [35, 1], [35, 5]])
    labels = Labels(boxes=np.array([[25.0, 0, 30, 5], [1, 1, 5, 5]]), polygons=(outer, inner, outer))
    transformed = transform_labels(labels, np.eye(3), height=10, width=20)
    assert (transformed.boxes_dropped, transformed.polygons_dropped) == (1, 2)
    assert (transformed.box_indices.tolist(), transformed.polygon_indices.tolist()) == ([1], [1])
    assert len(transformed.labels.boxes) == len(transformed.labels.polygons) == 1


@pytest.mark.parametrize(
    ("polygon", "degenerate"),
    [
        ([[0, 0], [4, 0], [4, 4]], False),
        ([[0, 0], [4, 0]], True),
        ([[0, 0], [4, 4], [0, 0], [4, 4]], True),
        ([[0, 0], [2, 2], [4, 4]], True),
        ([[0, 0], [0, 0], [0, 0]], True),
        ([[0, 0], [4, 4], [4, 0], [0, 4]], False),
        ([[0, 0], [4, 0], [4, 4], [4, 0]], True),
        ([[0, 0], [0.02, 0.02], [0.02, 0], [0, 0.02]], True),
        ([], True),
    ],
)
def test_lines_and_points_are_degenerate(polygon: list[list[float]], degenerate: bool) -> None:
    assert is_degenerate(np.array(polygon, dtype=float).reshape(-1, 2)) is degenerate


def test_a_polygon_is_clipped_at_the_edge() -> None:
    diamond = np.array([[0.0, 5.0], [5.0, 0.0], [10.0, 5.0], [5.0, 10.0]])
    assert polygon_area(clip_polygon(diamond, height=10, width=10)) == 50
    assert polygon_area(clip_polygon(diamond - [5, 0], height=10, width=10)) == 25
    assert polygon_area(clip_polygon(diamond - [5, 5], height=10, width=10)) == 12.5


def test_a_flattened_polygon_is_dropped_and_counted() -> None:
    flat = np.diag([1.0, 1e-9, 1.0])
    square = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]])
    transformed = transform_labels(Labels(boxes=np.array([[0.0, 0, 4, 4]]), polygons=(square,)), flat, 10, 10)
    assert (transformed.boxes_dropped, transformed.polygons_dropped) == (1, 1)


def test_a_self_crossing_polygon_is_kept() -> None:
    bow_tie = np.array([[2.0, 2.0], [8.0, 8.0], [8.0, 2.0], [2.0, 8.0]])
    transformed = transform_labels(Labels(polygons=(bow_tie,)), np.eye(3), 10, 10)
    assert (len(transformed.labels.polygons), transformed.polygons_dropped) == (1, 0)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=3, max_size=9))
def test_the_covered_area_of_a_self_crossing_polygon_agrees_with_shapely(
    corners: list[tuple[int, int]],
) -> None:
    """shapely's make_valid keeps what a ray from outside enters an odd number of times."""
    polygon = np.array(corners, float)
    assume(len({*corners}) == len(corners))
    expected = shapely.make_valid(shapely.Polygon(polygon)).area
    assert covered_area(polygon) == pytest.approx(expected, abs=1e-6)


numbers = st.floats(-50, 150)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.lists(st.tuples(numbers, numbers), min_size=3, max_size=3))
def test_a_clipped_triangle_lies_inside_and_never_grows(corners: list[tuple[float, float]]) -> None:
    triangle = np.array(corners)
    clipped = clip_polygon(triangle, height=60, width=90)
    if len(clipped):
        assert (clipped >= -1e-9).all()
        assert (clipped <= np.array([90, 60]) + 1e-9).all()
        assert polygon_area(clipped) <= min(60 * 90, polygon_area(triangle)) + 1e-6


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.integers(0, 10_000))
def test_the_inverse_map_returns_points_to_their_places(index: int) -> None:
    parameters = draw_parameters("aggressive", 4, 0, index)
    forward = parameters.affine.affine_matrix(HEIGHT, WIDTH)
    points = np.random.default_rng(index).uniform(0, 100, (5, 2))
    assert transform_points(transform_points(points, forward), invert_affine(forward)) == pytest.approx(
        points, abs=1e-8
    )


def test_empty_labels_stay_empty() -> None:
    transformed = transform_labels(Labels(), np.eye(3), 10, 10)
    assert (
        len(transformed.labels.boxes)
        == len(transformed.labels.keypoints)
        == len(transformed.labels.polygons)
        == 0
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"boxes": np.zeros((2, 5))},
        {"keypoints": np.zeros(3)},
        {"polygons": (np.zeros((3, 3)),)},
        {"boxes": np.array([[0.0, 0, np.nan, 1]])},
    ],
)
def test_labels_of_a_wrong_shape_or_value_are_refused(wrong: dict[str, np.ndarray]) -> None:
    with pytest.raises(DataError, match="expected"):
        Labels(**wrong)  # type: ignore[arg-type]


def test_all_four_corners_of_a_box_are_mapped() -> None:
    """The negative control: two mapped corners of a rotated box are almost one point."""
    forward = AugmentationParameters(degrees=45.0).affine.affine_matrix(100, 100)
    box = np.array([[40.0, 40.0, 60.0, 60.0]])
    two = transform_points(box.reshape(2, 2), forward)
    whole = transform_boxes(box, forward)[0]
    assert whole == pytest.approx([50 - 14.142, 50 - 14.142, 50 + 14.142, 50 + 14.142], abs=1e-2)
    assert np.ptp(two, axis=0).prod() < 1
