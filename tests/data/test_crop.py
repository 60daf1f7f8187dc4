from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from perfsuite.data.crop import UNIFORMS_PER_CROP, center_crop, random_resized_crop

SIZES = [(500, 375), (375, 500), (333, 500), (224, 224), (225, 224), (1280, 720), (30, 3000), (7, 5)]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("size", [224, 32, 161])
def test_the_center_crop_is_torchvisions(width: int, height: int, size: int) -> None:
    # The pixels of these images are their own coordinates, so one crop gives the offset.
    window = center_crop(width, height, size)
    resized = v2.functional.resize(torch.zeros(1, height, width, dtype=torch.uint8), [size * 8 // 7])
    assert window.resized_size == (resized.shape[2], resized.shape[1])
    across = torch.arange(window.resized_size[0]).expand(1, window.resized_size[1], -1)
    down = torch.arange(window.resized_size[1])[:, None].expand(1, -1, window.resized_size[0])
    assert int(v2.functional.center_crop(across, [size])[0, 0, 0]) == window.offset[0]
    assert int(v2.functional.center_crop(down, [size])[0, 0, 0]) == window.offset[1]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_random_boxes_are_inside_with_torchvisions_areas_and_aspect_ratios(width: int, height: int) -> None:
    rng = np.random.default_rng(5)
    boxes = [
        random_resized_crop(width, height, 224, row).box for row in rng.random((4000, UNIFORMS_PER_CROP))
    ]
    assert all(0 <= x <= width - w and 0 <= y <= height - h for x, y, w, h in boxes)
    assert all(w > 0 and h > 0 for _, _, w, h in boxes)
    torch.manual_seed(5)
    image = torch.empty(1, height, width)
    theirs = [v2.RandomResizedCrop(224).make_params([image]) for _ in range(4000)]
    samples: list[tuple[list[float], list[float]]] = [
        ([w * h for _, _, w, h in boxes], [p["height"] * p["width"] for p in theirs]),
        ([w / h for _, _, w, h in boxes], [p["width"] / p["height"] for p in theirs]),
        ([x for x, *_ in boxes], [p["left"] for p in theirs]),
        ([box[1] for box in boxes], [p["top"] for p in theirs]),
    ]
    for ours, other in samples:
        spread = np.std(ours) / 4000**0.5 + np.std(other) / 4000**0.5
        assert abs(np.mean(ours) - np.mean(other)) <= 4 * spread + 1e-9
