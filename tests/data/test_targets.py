from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from perfsuite.data.batch import Batch
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
from perfsuite.data.targets import TargetBuilder
from perfsuite.errors import DataError
from perfsuite.transforms import AugmentationMode
from perfsuite.transforms.augment.operations.mirror import Mirror
from perfsuite.transforms.augment.operations.rotate import Rotate

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
    annotations = Annotations.from_images(images, ("a", "b", "c", "red_rectangles"))
    return root, annotations.with_flip_orders([(0, 1)] * 4)  # a mirror exchanges no keypoints


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


@pytest.mark.parametrize("mode", ["none", "mirror", "conservative"])
@pytest.mark.parametrize("crop", ["random", "center", "stretch"])
@pytest.mark.parametrize("cache", CACHES, ids=["no cache", "decoded", "finished"])
def test_boxes_are_where_the_pixels_are(
    red_rectangles: tuple[Path, Annotations], mode: str, crop: str, cache: dict[str, Any]
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
        list(images_with_targets(loaders((root, Annotations.from_images(wrong)), keypoint_flip_pairs=())))


def test_an_image_without_annotation_is_an_error(red_rectangles: tuple[Path, Annotations]) -> None:
    root, annotations = red_rectangles
    files = annotations.as_source(root)
    sources = dict.fromkeys(SPLITS, files)
    some = Annotations.from_images(list(annotations)[:3])
    loaders_ = make_loaders(sources, 4, 0, image_size=16, annotations=some, keypoint_flip_pairs=())
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


NAMES = ["nose", "left_eye", "right_eye"]
NOSE, LEFT_EYE, RIGHT_EYE = (40, 60), (60, 30), (20, 30)  # of a person who looks at the camera


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of 80 x 80 with a white nose, a red left eye and a green right eye, and its annotations."""
    root = tmp_path_factory.mktemp("face")
    image = Image.new("RGB", (80, 80), BLACK)
    drawing = ImageDraw.Draw(image)
    for (x, y), color in ((NOSE, (255, 255, 255)), (LEFT_EYE, RED), (RIGHT_EYE, (0, 255, 0))):
        drawing.rectangle((x - 6, y - 6, x + 6, y + 6), fill=color)
    image.save(root / "face.png")
    keypoints = [number for point in (NOSE, LEFT_EYE, RIGHT_EYE) for number in (*point, 2)]
    thing = {"image_id": 1, "category_id": 1, "bbox": [5, 5, 70, 70], "keypoints": keypoints}
    content = {
        "images": [{"id": 1, "file_name": "face.png", "width": 80, "height": 80}],
        "categories": [{"id": 1, "name": "face", "keypoints": NAMES}],
        "annotations": [thing],
    }
    (root / "a.json").write_text(json.dumps(content))
    content["categories"] = [{"id": 1, "name": "face"}]
    (root / "without_names.json").write_text(json.dumps(content))
    return root


def face_epochs(root: Path, mode: AugmentationMode, **options: Any) -> Iterator[tuple[torch.Tensor, Any]]:
    annotations = read_annotations(root / options.pop("file", "a.json"))
    sources = dict.fromkeys(SPLITS, annotations.as_source(root))
    loaders_ = make_loaders(
        sources, 1, 0, image_size=80, train_crop="stretch", annotations=annotations, augmentation_mode=mode,
        normalize=BYTES, **options,
    )  # fmt: skip
    for _ in range(12):
        for images, (target,) in loaders_.train:
            yield images[0], target


MIRRORS = {
    "mirror in the resize": AugmentationMode("m", (Mirror(),)),
    "mirror and rotation": AugmentationMode("mr", (Mirror(), Rotate(20))),
}


@pytest.mark.parametrize("mode", MIRRORS)
@pytest.mark.parametrize(
    "options",
    [{}, {"cache": "ram"}, {"file": "without_names.json", "keypoint_flip_pairs": [(1, 2)]}],
    ids=["names", "cache", "pairs"],
)
def test_the_left_eye_stays_the_left_eye_of_the_mirrored_face(
    face: Path, mode: str, options: dict[str, Any]
) -> None:
    """A mirrored face has its left eye, as a viewer names it, on the other side: the one that was green."""
    mirrored = 0
    for image, target in face_epochs(face, MIRRORS[mode], **options):
        nose, left, right = target["keypoints"][0].tolist()
        assert nose[2] == left[2] == right[2] == 1
        assert image[:, int(nose[1]), int(nose[0])].min() > 200
        is_green = image[1, int(left[1]), int(left[0])] > 200
        assert (image[0, int(right[1]), int(right[0])] > 200) == is_green
        assert left[0] > right[0]  # the face still looks at the camera, so its left eye is on the right
        mirrored += bool(is_green)
    assert 0 < mirrored < 12


def test_the_wrong_pairs_leave_the_left_eye_on_the_wrong_side(face: Path) -> None:
    """The negative control."""
    options = {"file": "without_names.json", "keypoint_flip_pairs": ()}
    targets = [target for _, target in face_epochs(face, MIRRORS["mirror in the resize"], **options)]
    assert any(target["keypoints"][0, 1, 0] < target["keypoints"][0, 2, 0] for target in targets)


def test_unknown_flip_pairs_are_refused_where_a_mirror_is_possible(face: Path) -> None:
    for mode in MIRRORS.values():
        with pytest.raises(DataError, match=r"class 'face' without names .*keypoint_flip_pairs=\[\(1, 2\)"):
            next(face_epochs(face, mode, file="without_names.json"))
    upright = AugmentationMode("r", (Rotate(20),))
    assert len(list(face_epochs(face, upright, file="without_names.json"))) == 12
    with pytest.raises(DataError, match=r"the pair \(1, 9\), expected two of the indices 0 to 2"):
        next(face_epochs(face, upright, keypoint_flip_pairs=[(1, 9)]))


def test_an_operation_of_ones_own_that_mirrors_is_refused_too(face: Path) -> None:
    """It is not known before the image is made."""
    annotations = read_annotations(face / "without_names.json")
    batch = Batch(
        images=torch.zeros(1, 8, 8, 3, dtype=torch.uint8),
        labels=torch.zeros(1, dtype=torch.int64),
        rows=torch.zeros(1, dtype=torch.int64),
        affines=torch.tensor([[[[1.0, 0, 0], [0, 1, 0]], [[1, 0, 0], [0, -1, 80]]]], dtype=torch.float64),
        original_sizes=torch.tensor([[80, 80]]),
    )
    with pytest.raises(DataError, match="without names that tell left from right"):
        TargetBuilder(annotations, 80).build(batch, annotations.as_source(face))


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
