"""Elastic and grid distortion: labels move with the image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from perfsuite.errors import UsageError
from perfsuite.transforms.augment.distortion import DisplacementField, elastic_field, grid_field
from perfsuite.transforms.labels.labels import Labels
from perfsuite.transforms.labels.polygons import polygon_area

pytest.importorskip("cv2", reason="OpenCV is not installed")

Make = Callable[[int], DisplacementField]
KINDS: dict[str, Make] = {
    "elastic": lambda seed: elastic_field(90, 120, 4.0, 12.0, np.random.default_rng(seed)),
    "grid": lambda seed: grid_field(90, 120, 4, 3.5, np.random.default_rng(seed)),
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", KINDS)
def test_a_keypoint_moves_with_its_pixels(kind: str, seed: int) -> None:
    field = KINDS[kind](seed)
    image = np.zeros((90, 120, 3), dtype=np.uint8)
    image[31:36, 45:50] = 255
    moved = field.image(image, fill=0)[..., 0].astype(float)
    rows, columns = np.indices(moved.shape) + 0.5
    center = [(columns * moved).sum() / moved.sum(), (rows * moved).sum() / moved.sum()]
    assert center == pytest.approx(field.transform_points(np.array([[47.5, 33.5]]))[0], abs=0.25)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", KINDS)
def test_boxes_and_polygons_move_with_their_pixels(kind: str, seed: int) -> None:
    field = KINDS[kind](seed)
    image = np.zeros((90, 120, 3), dtype=np.uint8)
    image[20:60, 35:95] = 255
    shown = field.image(image, fill=0)[..., 0] > 127
    corners = np.array([[35.0, 20.0], [95.0, 20.0], [95.0, 60.0], [35.0, 60.0]])
    labels = Labels(boxes=np.array([[35.0, 20.0, 95.0, 60.0]]), polygons=(corners,))
    transformed = field.transform_labels(labels).labels
    rows, columns = np.nonzero(shown)
    left, top, right, bottom = transformed.boxes[0]
    assert (left, top) == pytest.approx((columns.min(), rows.min()), abs=1.01)
    assert (right, bottom) == pytest.approx((columns.max() + 1, rows.max() + 1), abs=1.01)
    assert polygon_area(transformed.polygons[0]) == pytest.approx(shown.sum(), rel=0.01)


def test_corners_alone_do_not_bound_a_bent_edge() -> None:
    """The negative control: the mapped corners of a box miss its bulging edge."""
    dy = np.zeros((90, 120))
    dy[:, 40:80] = 8 * np.sin(np.linspace(0, np.pi, 40))
    field = DisplacementField(np.zeros((90, 120)), dy)
    box = np.array([[30.0, 30.0, 90.0, 60.0]])
    corners = field.transform_points(box[:, [[0, 1], [2, 3]]][0])
    assert corners[:, 1].min() - field.transform_labels(Labels(boxes=box)).labels.boxes[0, 1] > 7


def test_labels_without_area_are_dropped_and_counted_but_no_keypoint_is() -> None:
    line = np.array([[10.0, 10.0], [50.0, 10.0]])
    outside = np.array([[130.0, 10.0], [150.0, 10.0], [150.0, 30.0]])
    inner = np.array([[10.0, 10.0], [50.0, 10.0], [50.0, 30.0]])
    labels = Labels(
        boxes=np.array([[130.0, 10.0, 150.0, 30.0], [10.0, 10.0, 50.0, 30.0]]),
        keypoints=np.array([[20.0, 20.0], [140.0, 20.0]]),
        polygons=(line, inner, outside, np.empty((0, 2))),
    )
    transformed = DisplacementField(np.zeros((90, 120)), np.zeros((90, 120))).transform_labels(labels)
    assert (transformed.boxes_dropped, transformed.polygons_dropped) == (1, 3)
    assert (transformed.box_indices.tolist(), transformed.polygon_indices.tolist()) == ([1], [1])
    assert transformed.labels.keypoints == pytest.approx(labels.keypoints)
    assert transformed.keypoints_inside.tolist() == [True, False]
    assert polygon_area(transformed.labels.polygons[0]) == pytest.approx(400)


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_moves_points(kind: str) -> None:
    points = np.random.default_rng(0).uniform((10, 10), (110, 80), (50, 2))
    moved = KINDS[kind](1).transform_points(points)
    assert np.abs(moved - points).max() > 1


@pytest.mark.parametrize("kind", KINDS)
def test_classes_are_never_mixed(kind: str) -> None:
    classes = np.zeros((90, 120), dtype=np.int64)
    classes[20:70, 30:90] = 9
    field = KINDS[kind](2)
    moved = field.warp_classes(classes, fill=255)
    assert set(np.unique(moved)) <= {0, 9, 255}
    image = np.repeat((classes[..., None] == 9).astype(np.uint8) * 255, 3, axis=2)
    shown = field.image(image, fill=0)[..., 0] > 127
    assert (shown != (moved == 9)).mean() < 0.002


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_field(kind: str) -> None:
    assert np.array_equal(KINDS[kind](3).dx, KINDS[kind](3).dx)
    assert not np.array_equal(KINDS[kind](3).dx, KINDS[kind](4).dx)


@pytest.mark.parametrize("kind", KINDS)
def test_horizontal_and_vertical_displacements_are_independent(kind: str) -> None:
    field = KINDS[kind](3)
    assert abs(np.corrcoef(field.dx.ravel(), field.dy.ravel())[0, 1]) < 0.9


def test_what_lies_outside_is_fill() -> None:
    shifted = DisplacementField(np.full((20, 30), 5.0), np.zeros((20, 30)))
    image = np.full((20, 30, 3), 200, dtype=np.uint8)
    for moved in (shifted.image(image, fill=9)[..., 0], shifted.warp_classes(image[..., 0], fill=9)):
        assert (moved[:, :25] == 200).all()
        assert (moved[:, 25:] == 9).all()


def test_a_field_of_zeros_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    identity = DisplacementField(np.zeros((20, 30)), np.zeros((20, 30)))
    assert np.array_equal(identity.image(image), image)


def test_a_field_that_folds_is_refused() -> None:
    with pytest.raises(UsageError, match="would fold over itself"):
        elastic_field(40, 40, 30.0, 1.0, np.random.default_rng(0))


SIZES = ((32, 32), (48, 64), (224, 224), (512, 512), (720, 1280), (1080, 1920))


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("seed", range(5))
def test_a_grid_bends_evenly_within_each_cell_at_every_size(height: int, width: int, seed: int) -> None:
    """Within a cell a bilinear field is linear along each row, so its second difference is zero."""
    cells = 5
    field = grid_field(height, width, cells, min(height, width) / 56, np.random.default_rng(seed))
    cell_of = np.floor(np.linspace(0, cells, width)).astype(int)
    within = (cell_of[:-2] == cell_of[1:-1]) & (cell_of[1:-1] == cell_of[2:])
    assert within.any()
    for displacement in (field.dx, field.dy):
        assert np.abs(np.diff(displacement, n=2, axis=1)[:, within]).max() < 1e-9


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_grid_equals_bilinear_interpolation_of_its_knots(height: int, width: int) -> None:
    """An oracle in plain Python: the knots of the two axes are the first two draws of the generator."""
    cells, strength = 4, min(height, width) / 60
    field = grid_field(height, width, cells, strength, np.random.default_rng(7))
    rng = np.random.default_rng(7)
    for displacement in (field.dx, field.dy):
        inner = rng.uniform(-strength, strength, (cells - 1, cells - 1))
        for row, column in ((height // 3, width // 5), (height - 2, width // 2), (1, width - 2), (0, 7)):
            y, x = row * cells / (height - 1), column * cells / (width - 1)
            expected = 0.0
            for knot_y in range(1, cells):
                for knot_x in range(1, cells):
                    share = max(0.0, 1 - abs(y - knot_y)) * max(0.0, 1 - abs(x - knot_x))
                    expected += share * inner[knot_y - 1, knot_x - 1]
            assert displacement[row, column] == pytest.approx(expected, abs=1e-9)


def test_a_stair_of_the_field_is_refused() -> None:
    """The negative control: a step of one pixel between neighbors, as quantized positions give."""
    dx = np.zeros((40, 40))
    dx[:, 20:] = 1.0
    with pytest.raises(UsageError, match=r"move apart by 1\.00 pixels"):
        DisplacementField(dx, np.zeros((40, 40)))


def test_too_few_cells_or_pixels_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 2"):
        grid_field(40, 40, 1, 1.0, np.random.default_rng(0))
    with pytest.raises(UsageError, match="at least 2 x 2"):
        elastic_field(1, 40, 1.0, 1.0, np.random.default_rng(0))
