from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from perfsuite.data.cache.cached_source import ram_cache
from perfsuite.data.faults import FaultPolicy
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.loader import Normalize
from perfsuite.data.loaders import Loaders, make_loaders
from perfsuite.data.sources.annotation_formats import read_annotations
from perfsuite.data.sources.annotations import Annotations, ImageAnnotation, ObjectAnnotation
from perfsuite.data.sources.map_files import write_map
from perfsuite.data.sources.maps import MapSource
from perfsuite.data.sources.splits import SPLITS
from perfsuite.errors import DataError

BYTES = Normalize(dtype=torch.uint8)
RED, BLACK = (255, 0, 0), (0, 0, 0)
SIDE = 96


@pytest.fixture(scope="module")
def red_rectangles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Annotations]:
    """Black images of several shapes, each with one red rectangle, whose box the pixels show."""
    root = tmp_path_factory.mktemp("red_rectangles")
    rng = np.random.default_rng(7)
    images = []
    for number in range(24):
        width, height = ((160, 120), (120, 160), (200, 100))[number % 3]
        across, down = 0.4 * width, 0.4 * height
        left, top = (
            float(rng.integers(20, int(width - across - 20))),
            float(rng.integers(20, int(height - down - 20))),
        )
        box = (left, top, left + round(across), top + round(down))
        image = Image.new("RGB", (width, height), BLACK)
        ImageDraw.Draw(image).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=RED)
        name = f"{number:02}.png"
        image.save(root / name)
        corners = ((box[0], box[1]), (box[2], box[1]), (box[2], box[3]), (box[0], box[3]))
        center = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        images.append(
            ImageAnnotation(
                name,
                width,
                height,
                (ObjectAnnotation(3, box, (corners,), (center, corners[0]), (True, False)),),
            )
        )
    return root, Annotations.from_images(images, ("a", "b", "c", "red_rectangles"))


def loaders(red_rectangles: tuple[Path, Annotations], **options: Any) -> Loaders:
    root, annotations = red_rectangles
    settings = {"batch_size": 8, "num_workers": 0, "image_size": SIDE, "normalize": BYTES, **options}
    return make_loaders(root, annotations=annotations, **settings)


def images_with_targets(loaders_: Loaders) -> Iterator[tuple[torch.Tensor, dict[str, Any]]]:
    """Yield every image with its target."""
    for part in SPLITS:
        for images, targets in getattr(loaders_, part):
            assert len(images) == len(targets)
            yield from zip(images, targets, strict=True)


CACHES: list[dict[str, Any]] = [{}, {"cache": "ram"}, {"cache": "ram", "cache_epochs": 1}]


@pytest.mark.parametrize("mode", ["none", None, "conservative"])
@pytest.mark.parametrize("crop", ["random", "center", "whole"])
@pytest.mark.parametrize("cache", CACHES, ids=["no cache", "decoded", "finished"])
def test_boxes_are_where_the_pixels_are(
    red_rectangles: tuple[Path, Annotations], mode: str | None, crop: str, cache: dict[str, Any]
) -> None:
    loaders_ = loaders(red_rectangles, augmentation_mode=mode, train_crop=crop, val_crop=crop, **cache)
    if cache:
        list(images_with_targets(loaders_))  # the epoch in which the cache fills
    checked = 0
    for image, target in images_with_targets(loaders_):
        down, across = np.nonzero(image[0].numpy() > 100)
        if not len(target["boxes"]):
            assert not len(down)
            continue
        checked += 1
        (left, top, right, bottom), label = target["boxes"][0].tolist(), target["labels"].tolist()
        assert label == [3]
        expected = (across.min(), down.min(), across.max() + 1, down.max() + 1)
        assert np.allclose((left, top, right, bottom), expected, atol=1.5)
    assert checked > 15


def test_polygons_keypoints_and_maps_follow_a_rotated_image(
    red_rectangles: tuple[Path, Annotations], tmp_path: Path
) -> None:
    root, annotations = red_rectangles
    for image_annotation in annotations:
        with Image.open(root / image_annotation.file) as stored:
            write_map(
                (tmp_path / image_annotation.file).with_suffix(".npy"),
                (np.asarray(stored)[..., 0] > 0).astype(np.uint8),
            )
    moderate = loaders(red_rectangles, augmentation_mode="moderate", maps=tmp_path)
    rotated = 0
    for image, target in images_with_targets(moderate):
        color = (image[0].int() - image[1].int()).numpy()  # the fill at the edges is gray
        is_red = color > color.max() / 2
        is_mapped = (target["map"] == 1).numpy()
        assert (is_red != is_mapped).mean() < 0.015
        for polygons in target["polygons"]:
            (polygon,) = polygons
            canvas = Image.new("L", (SIDE, SIDE))
            ImageDraw.Draw(canvas).polygon([tuple(point) for point in polygon.tolist()], fill=1)
            assert (np.asarray(canvas).astype(bool) != is_red).mean() < 0.04
            rotated += bool(((polygon[:, 0] - polygon[0, 0]).abs() > 1).sum() > 2)
        for x, y, is_visible in target["keypoints"][:, 0].tolist():
            if is_visible:
                assert is_red[int(y), int(x)]
        assert not target["keypoints"][:, 1, 2].any()  # annotated as hidden, so never visible
    assert rotated > 5


def test_targets_are_the_same_with_every_engine(
    red_rectangles: tuple[Path, Annotations], tmp_path: Path
) -> None:
    options = {"augmentation_mode": "moderate", "maps": str(tmp_path), "start_method": "fork"}
    expected = list(images_with_targets(loaders(red_rectangles, **options)))
    for engine in ("threads", "subprocess", "processes"):
        other_loaders = loaders(red_rectangles, engine=engine, **options | {"num_workers": 2})
        for (image, target), (other_image, other) in zip(
            images_with_targets(other_loaders), expected, strict=True
        ):
            assert torch.equal(image, other_image)
            assert target.keys() == other.keys()
            assert all(
                torch.equal(target[name], other[name]) for name in ("boxes", "labels", "keypoints", "map")
            )
            assert target["row"] == other["row"]
        other_loaders.close()


def test_an_image_of_another_size_than_its_annotation_is_an_error(
    red_rectangles: tuple[Path, Annotations],
) -> None:
    root, annotations = red_rectangles
    wrong = [
        ImageAnnotation(
            image_annotation.file, image_annotation.height, image_annotation.width, image_annotation.objects
        )
        for image_annotation in annotations
    ]
    with pytest.raises(DataError, match=r"\.png: the image is \d+x\d+ pixels, expected its annotation's"):
        list(images_with_targets(loaders((root, Annotations.from_images(wrong)))))


def test_an_image_without_annotation_is_an_error(red_rectangles: tuple[Path, Annotations]) -> None:
    root, annotations = red_rectangles
    files = annotations.as_source(root)
    sources = dict.fromkeys(SPLITS, files)
    some = Annotations.from_images(list(annotations)[:3])
    loaders_ = make_loaders(sources, 4, 0, image_size=16, annotations=some)
    with pytest.raises(DataError, match="no annotation for this file"):
        list(images_with_targets(loaders_))


@pytest.mark.parametrize("on_error", ["skip", "substitute"])
def test_the_replacement_of_a_damaged_image_has_its_own_targets(
    red_rectangles: tuple[Path, Annotations], tmp_path: Path, on_error: FaultPolicy
) -> None:
    root, annotations = red_rectangles
    for image_annotation in annotations:
        (tmp_path / image_annotation.file).write_bytes((root / image_annotation.file).read_bytes())
    (tmp_path / "05.png").write_bytes(b"no image")
    sources = dict.fromkeys(SPLITS, annotations.as_source(tmp_path))
    loaders_ = make_loaders(
        sources, 24, 0, image_size=SIDE, normalize=BYTES, annotations=annotations,
        maps=MapSource(annotations=annotations), on_error=on_error, augmentation_mode="none",
    )  # fmt: skip
    for loader, refills in ((loaders_.train, True), (loaders_.val, False)):
        ((images, targets),) = list(loader)
        rows = [target["row"] for target in targets]
        if on_error == "substitute":
            (position,) = [position for position, row in enumerate(rows) if row == 5]
            assert (images[position] == 128).all()
            assert len(targets[position]["boxes"]) == 0
            assert not targets[position]["map"].any()
        else:
            assert 5 not in rows
            assert len(rows) == (24 if refills else 23)
        for image, target in zip(images, targets, strict=True):
            for left, top, right, bottom in target["boxes"].tolist():
                assert image[0, int((top + bottom) / 2), int((left + right) / 2)] > 100


@pytest.mark.parametrize("cache", CACHES[1:], ids=["decoded", "finished"])
def test_targets_and_maps_are_the_same_with_a_cache(
    red_rectangles: tuple[Path, Annotations], tmp_path: Path, cache: dict[str, Any]
) -> None:
    options = {"augmentation_mode": "moderate", "train_crop": "center", "maps": str(tmp_path)}
    plain = list(images_with_targets(loaders(red_rectangles, **options)))
    cached = loaders(red_rectangles, **options, **cache)
    for _ in range(2):
        cached.train.set_epoch(0)
        for (image, target), (expected, others) in zip(images_with_targets(cached), plain, strict=True):
            assert torch.equal(image, expected)
            assert target.keys() == others.keys()
            assert torch.equal(target["boxes"], others["boxes"])
            assert torch.equal(target["keypoints"], others["keypoints"])
            assert torch.equal(target["map"], others["map"])


def test_a_cache_for_other_crops_is_an_error(red_rectangles: tuple[Path, Annotations]) -> None:
    root, annotations = red_rectangles
    cache = ram_cache(annotations.as_source(root), ImageConfig(size=16))
    loaders_ = make_loaders(dict.fromkeys(SPLITS, cache), 4, 0, image_size=16, annotations=annotations)
    with pytest.raises(DataError, match="for crop 'center' at 16 pixels, the loader needs 'random' at 16"):
        next(iter(loaders_.train))


def test_a_synthetic_data_set_has_targets(folder: Path) -> None:
    loaders_ = make_loaders(folder, 8, 0, image_size=64, annotations=folder / "annotations.json")
    images, targets = next(iter(loaders_.train))
    assert images.shape == (8, 3, 64, 64)
    assert loaders_.info["samples"] == {"train": 32, "val": 4, "test": 4}
    assert loaders_.class_names == read_annotations(folder / "annotations.json").class_names
    for target in targets:
        objects, boxes = len(target["labels"]), target["boxes"]
        assert boxes.shape == (objects, 4)
        assert boxes.dtype == torch.float32
        assert target["keypoints"].shape == (objects, 4, 3)
        assert len(target["polygons"]) == objects
        assert ((boxes >= 0) & (boxes <= 64)).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert json.dumps(loaders_.info["class_weights"]) == "null"
