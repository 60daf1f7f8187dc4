"""Letterbox keeps proportions, centers the image on gray, and maps back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from perfsuite.errors import UsageError
from perfsuite.transforms.labels.keypoints import transform_points
from perfsuite.transforms.labels.labels import Labels, transform_labels
from perfsuite.transforms.letterbox import Letterbox


def random_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_the_image_is_resized_by_pillow_and_centered_on_gray() -> None:
    framed, placement = Letterbox(64, 64)(random_image(90, 120))
    assert (placement.height, placement.width, placement.top, placement.left) == (48, 64, 8, 0)
    expected = np.asarray(Image.fromarray(random_image(90, 120)).resize((64, 48), Image.Resampling.LANCZOS))
    assert np.array_equal(framed[8:56], expected)
    assert (framed[:8] == 128).all()
    assert (framed[56:] == 128).all()


def test_an_image_of_the_size_of_the_frame_is_unchanged() -> None:
    framed, placement = Letterbox(20, 30)(random_image(20, 30))
    assert np.array_equal(framed, random_image(20, 30))
    assert np.array_equal(placement.forward, np.eye(3))


@pytest.mark.parametrize("channels", [None, 1, 3, 4, 5])
def test_an_image_may_have_any_number_of_channels(channels: int | None) -> None:
    image = np.random.default_rng(0).integers(
        0, 256, (9, 17) + ((channels,) if channels else ()), dtype=np.uint8
    )
    framed, _ = Letterbox(13, 13)(image)
    assert framed.shape == (13, 13, *image.shape[2:])


sizes = st.integers(1, 300)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(sizes, sizes, sizes, sizes)
def test_the_image_fits_touches_two_edges_and_is_centered(
    height: int, width: int, frame_h: int, frame_w: int
) -> None:
    placement = Letterbox(frame_h, frame_w).place(height, width)
    assert placement.height == frame_h or placement.width == frame_w
    assert 0 <= frame_h - placement.height - 2 * placement.top <= 1
    assert 0 <= frame_w - placement.width - 2 * placement.left <= 1
    scale = min(frame_h / height, frame_w / width)
    assert abs(placement.height - height * scale) <= max(0.5 + 1e-6, 1 - height * scale)
    assert abs(placement.width - width * scale) <= max(0.5 + 1e-6, 1 - width * scale)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(sizes, sizes, sizes, sizes)
def test_the_backward_map_inverts_the_forward_map(
    height: int, width: int, frame_h: int, frame_w: int
) -> None:
    placement = Letterbox(frame_h, frame_w).place(height, width)
    points = np.array([[0.0, 0.0], [width, height], [width / 3, height / 7]])
    assert transform_points(transform_points(points, placement.forward), placement.backward) == pytest.approx(
        points, abs=1e-6
    )
    corner = transform_points(points[1:2], placement.forward)[0]
    assert corner == pytest.approx(
        [placement.left + placement.width, placement.top + placement.height], abs=1e-6
    )


def test_boxes_keypoints_and_polygons_map_back() -> None:
    placement = Letterbox(64, 64).place(90, 120)
    labels = Labels(
        boxes=np.array([[10.0, 20.0, 50.0, 80.0]]),
        keypoints=np.array([[33.0, 44.0]]),
        polygons=(np.array([[1.0, 1.0], [100.0, 5.0], [60.0, 88.0]]),),
    )
    in_frame = transform_labels(labels, placement.forward, 64, 64).labels
    back = transform_labels(in_frame, placement.backward, 90, 120).labels
    assert back.boxes == pytest.approx(labels.boxes)
    assert back.keypoints == pytest.approx(labels.keypoints)
    # A clipped polygon may begin at another corner.
    assert np.sort(back.polygons[0], axis=0) == pytest.approx(np.sort(labels.polygons[0], axis=0))


@pytest.mark.parametrize(("height", "width"), [(720, 1280), (91, 60), (33, 33), (101, 203), (64, 200)])
def test_albumentations_gives_the_same_letterbox(height: int, width: int) -> None:
    """LongestMaxSize and PadIfNeeded with the same filter give the same image and labels."""
    albumentations = pytest.importorskip("albumentations", reason="albumentations is not installed")
    import cv2

    theirs = albumentations.Compose(
        [
            albumentations.LongestMaxSize(max_size=96, interpolation=cv2.INTER_LINEAR),
            albumentations.PadIfNeeded(96, 96, border_mode=cv2.BORDER_CONSTANT, fill=128),
        ],
        bbox_params=albumentations.BboxParams("pascal_voc", label_fields=["kinds"]),
    )
    box = [width * 0.2, height * 0.3, width * 0.6, height * 0.9]
    letterboxed = theirs(image=random_image(height, width), bboxes=[box], kinds=[0])
    framed, placement = Letterbox(96, 96, filter="bilinear")(random_image(height, width))
    assert np.array_equal(framed, letterboxed["image"])
    ours = transform_labels(Labels(boxes=np.array([box])), placement.forward, 96, 96).labels.boxes[0]
    assert ours == pytest.approx(letterboxed["bboxes"][0], abs=1e-3)


@pytest.mark.parametrize("wrong", [{"height": 0}, {"fill": 256}])
def test_an_impossible_frame_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected"):
        Letterbox(**({"height": 4, "width": 4} | wrong))


def test_anything_but_an_image_is_refused() -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        Letterbox(4, 4)(np.zeros((3, 3)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 1 x 1"):
        Letterbox(4, 4)(np.zeros((0, 3, 3), dtype=np.uint8))
