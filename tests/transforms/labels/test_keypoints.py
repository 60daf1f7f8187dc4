"""Flip orders, and keypoints beside those of albumentations and torchvision.

Both libraries store pixel indices: the center of the first pixel is 0. Here it is 0.5
(docs/decisions/0016), so half a pixel is subtracted before comparing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import albumentations
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional

from perfsuite.errors import DataError
from perfsuite.transforms.labels.keypoints import flip_order_of_names, flip_order_of_pairs, is_mirrored
from perfsuite.transforms.labels.labels import Labels, transform_labels

_PARTS = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
COCO_NAMES = ["nose", *(f"{side}_{part}" for part in _PARTS for side in ("left", "right"))]
HEIGHT, WIDTH = 60, 90
POINTS = np.array([[0.0, 0.0], [89.0, 59.0], [12.0, 40.0], [71.0, 3.0]])
HALF = 0.5


def test_the_17_keypoints_of_coco_have_8_pairs() -> None:
    order = flip_order_of_names(COCO_NAMES)
    assert order == (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
    assert order == flip_order_of_pairs(17, [(left, left + 1) for left in range(1, 17, 2)])


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["Nose", "LeftEye", "RightEye"], (0, 2, 1)),
        (["L_Eye", "R_Eye", "Root of tail"], (1, 0, 2)),
        (["eye left", "EYE RIGHT"], (1, 0)),
        (["left_hand_1", "right_hand_1", "left_hand_2", "right_hand_2"], (1, 0, 3, 2)),
        (["left_eye"], None),
        (["left_eye", "right_ear"], None),
        (["nose", "mouth"], None),
        (["point_1", "point_2"], None),
        (["left_eye", "right_eye", "face-0", "face-1"], None),
        (["left_eye", "right_eye", "left_eye"], None),
        (["bleft", "bright"], None),
        ([], None),
    ],
)
def test_names_give_an_order_or_none(names: Sequence[str], order: tuple[int, ...] | None) -> None:
    assert flip_order_of_names(names) == order


@pytest.mark.parametrize(
    "pairs", [[(0, 5)], [(-1, 0)], [(1, 1)], [(0, 1), (1, 2)], [(0, "a")], [(1,)], ["ab"]]
)
def test_impossible_pairs_are_refused(pairs: Any) -> None:
    with pytest.raises(DataError, match="keypoints: the pair"):
        flip_order_of_pairs(3, pairs)


@pytest.mark.parametrize(
    ("linear", "expected"),
    [
        ([[1, 0], [0, 1]], False),
        ([[-1, 0], [0, 1]], True),
        ([[1, 0], [0, -1]], True),
        ([[-1, 0], [0, -1]], False),
        ([[0, 1], [1, 0]], True),
        ([[0, -1], [1, 0]], False),
        ([[0, 0], [0, 0]], False),
    ],
)
def test_a_mirror_is_recognized_also_when_turned(linear: list[list[int]], expected: bool) -> None:
    assert is_mirrored(np.array(linear, float)) is expected


def test_mirrored_keypoints_change_places_or_are_refused() -> None:
    mirror = np.array([[-1.0, 0, WIDTH], [0, 1, 0], [0, 0, 1]])
    eyes = np.array([[20.0, 30.0], [60.0, 30.0]])
    with pytest.raises(DataError, match=r"keypoints in a mirrored image, expected the flip order"):
        transform_labels(Labels(keypoints=eyes), mirror, HEIGHT, WIDTH)
    moved = transform_labels(Labels(keypoints=eyes, flip_order=np.array([1, 0])), mirror, HEIGHT, WIDTH)
    assert moved.labels.keypoints.tolist() == [[30, 30], [70, 30]]
    assert moved.keypoint_indices.tolist() == [1, 0]
    twice = transform_labels(moved.labels, mirror, HEIGHT, WIDTH)
    assert twice.labels.keypoints.tolist() == eyes.tolist()
    with pytest.raises(DataError, match="a flip order of 3, expected one of all 2 keypoints"):
        Labels(keypoints=eyes, flip_order=np.arange(3))


def ours(forward: list[list[float]], height: int, width: int) -> NDArray[np.float64]:
    """As pixel indices, like the other libraries."""
    labels = Labels(keypoints=POINTS + HALF, flip_order=np.arange(len(POINTS)))
    matrix = np.array([*forward, [0.0, 0.0, 1.0]])
    return transform_labels(labels, matrix, height, width).labels.keypoints - HALF


def by_albumentations(*transforms: albumentations.BasicTransform) -> NDArray[np.float64]:
    params = albumentations.KeypointParams(format="xy", remove_invisible=False)
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    output = albumentations.Compose(list(transforms), keypoint_params=params)(image=image, keypoints=POINTS)
    return np.asarray(output["keypoints"], np.float64)


def torchvision_points() -> tv_tensors.KeyPoints:
    return tv_tensors.KeyPoints(torch.from_numpy(POINTS.copy()), canvas_size=(HEIGHT, WIDTH))


def test_a_mirror_agrees_with_both_libraries() -> None:
    mirrored = ours([[-1, 0, WIDTH], [0, 1, 0]], HEIGHT, WIDTH)
    np.testing.assert_allclose(mirrored, by_albumentations(albumentations.HorizontalFlip(p=1)), atol=1e-5)
    np.testing.assert_allclose(mirrored, functional.horizontal_flip(torchvision_points()).numpy(), atol=1e-9)


def test_coordinates_taken_for_pixel_indices_are_a_pixel_off_after_a_mirror() -> None:
    """The negative control: what happened to COCO's whole numbers before they were converted."""
    labels = Labels(keypoints=POINTS, flip_order=np.arange(len(POINTS)))
    mirror = np.array([[-1.0, 0, WIDTH], [0, 1, 0], [0, 0, 1]])
    moved = transform_labels(labels, mirror, HEIGHT, WIDTH).labels.keypoints
    expected = by_albumentations(albumentations.HorizontalFlip(p=1))
    np.testing.assert_allclose(moved - expected, [[1, 0]] * len(POINTS), atol=1e-5)


def test_a_crop_agrees_with_both_libraries() -> None:
    cropped = ours([[1, 0, -10], [0, 1, -5]], 40, 50)
    crop = albumentations.Crop(x_min=10, y_min=5, x_max=60, y_max=45, p=1)
    np.testing.assert_allclose(cropped, by_albumentations(crop), atol=1e-5)
    np.testing.assert_allclose(
        cropped, functional.crop(torchvision_points(), 5, 10, 40, 50).numpy(), atol=1e-9
    )


def test_a_resize_differs_by_the_half_pixel_that_the_libraries_do_not_scale() -> None:
    """They scale indices, which moves a point against the pixels; half of the difference in scale at most."""
    resized = ours([[2, 0, 0], [0, 2, 0]], 2 * HEIGHT, 2 * WIDTH)
    for other in (
        by_albumentations(albumentations.Resize(2 * HEIGHT, 2 * WIDTH, p=1)),
        functional.resize(torchvision_points(), [2 * HEIGHT, 2 * WIDTH]).numpy(),
    ):
        np.testing.assert_allclose(resized - other, np.full_like(POINTS, HALF * (2 - 1)), atol=1e-5)


def test_a_resized_keypoint_stays_on_its_pixels() -> None:
    """The pixels decide: a dot of one pixel becomes 2 x 2 pixels, whose middle is the keypoint."""
    image = torch.zeros(1, HEIGHT, WIDTH)
    image[0, 40, 12] = 1
    doubled = functional.resize(image, [2 * HEIGHT, 2 * WIDTH], functional.InterpolationMode.NEAREST)
    rows, columns = np.nonzero(doubled[0].numpy())
    resized = ours([[2, 0, 0], [0, 2, 0]], 2 * HEIGHT, 2 * WIDTH)[2]
    assert resized.tolist() == [columns.mean(), rows.mean()]
