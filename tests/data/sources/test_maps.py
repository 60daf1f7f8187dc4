from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.annotation_formats import read_annotations
from perfsuite.data.sources.annotations import Annotations, ImageAnnotation, ObjectAnnotation
from perfsuite.data.sources.maps import MapSource, draw_map, read_map, store_maps, write_map
from perfsuite.errors import DataError


@pytest.fixture(scope="module")
def image_annotations(folder: Path) -> Annotations:
    return read_annotations(folder / "annotations.json")


def test_a_drawn_map_covers_its_boxes_and_nothing_else(image_annotations: Annotations) -> None:
    for image in list(image_annotations)[:10]:
        label_map = draw_map(image)
        assert label_map.shape == (image.height, image.width)
        assert set(np.unique(label_map)) <= set(range(len(image.objects) + 1))
        last = image.objects[-1]
        down, across = np.nonzero(label_map == len(image.objects))
        left, top, right, bottom = last.box
        assert abs(across.min() - left) <= 1.5
        assert abs(across.max() - right) <= 1.5
        assert abs(down.min() - top) <= 1.5
        assert abs(down.max() - bottom) <= 1.5


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_stored_maps_are_read_and_not_drawn(
    folder: Path, image_annotations: Annotations, tmp_path: Path, suffix: str
) -> None:
    assert store_maps(image_annotations, tmp_path, suffix) == 40
    assert store_maps(image_annotations, tmp_path, suffix) == 0
    drawn, stored = MapSource(annotations=image_annotations), MapSource(tmp_path, image_annotations, suffix)
    for image in image_annotations:
        sides = image.width, image.height
        assert np.array_equal(stored.get_map(image.file, *sides), drawn.get_map(image.file, *sides))
    assert (drawn.drawn_count, drawn.read_count) == (40, 0)
    assert (stored.drawn_count, stored.read_count) == (0, 40)


def test_loaders_read_every_map_and_draw_none_that_is_stored(
    folder: Path, image_annotations: Annotations, tmp_path: Path
) -> None:
    store_maps(image_annotations, tmp_path)
    stored = MapSource(tmp_path, image_annotations)
    loaders = make_loaders(folder, 8, 2, image_size=32, maps=stored, engine="threads")
    for images, maps in loaders.train:
        assert maps.shape == (len(images), 32, 32)
        assert maps.dtype == torch.uint8
        assert maps.max() > 0
    assert (stored.drawn_count, stored.read_count) == (0, 32)
    loaders.close()


def test_a_missing_map_is_drawn_and_counted(
    folder: Path, image_annotations: Annotations, tmp_path: Path
) -> None:
    store_maps(list(image_annotations)[:39], tmp_path)
    source = MapSource(tmp_path, image_annotations)
    for image in image_annotations:
        source.get_map(image.file, image.width, image.height)
    assert (source.drawn_count, source.read_count) == (1, 39)


def test_maps_in_memory_are_read_once(image_annotations: Annotations, tmp_path: Path) -> None:
    store_maps(image_annotations, tmp_path)
    source, first = MapSource(tmp_path, in_memory=True), image_annotations[0]
    for _ in range(3):
        source.get_map(first.file, first.width, first.height)
    assert (source.drawn_count, source.read_count) == (0, 1)


def test_a_missing_map_without_annotations_is_an_error(folder: Path, tmp_path: Path) -> None:
    loaders = make_loaders(folder, 4, 0, image_size=16, maps=tmp_path)
    with pytest.raises(DataError, match=r"class_.*\.jpg: its map .*\.npy does not exist; store_maps"):
        next(iter(loaders.train))


def test_invalid_map_sources_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="neither a folder nor annotations"):
        MapSource()
    with pytest.raises(ValueError, match=r"suffix '.png', expected one of .npy, .npz"):
        MapSource(tmp_path, suffix=".png")


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_damaged_map_and_pickled_objects_are_an_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    write_map(path, np.zeros((40, 50), np.uint8))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match="write the map again"):
        read_map(path)
    with path.open("wb") as out:
        np.save(out, np.array([{}], object), allow_pickle=True)
    with pytest.raises(DataError, match="write the map again"):
        read_map(path)


def test_a_map_of_another_size_is_an_error(image_annotations: Annotations, tmp_path: Path) -> None:
    first = image_annotations[0]
    write_map((tmp_path / "a.npy"), np.zeros((3, 3), np.uint8))
    with pytest.raises(DataError, match=r"its map has shape \(3, 3\)"):
        MapSource(tmp_path).get_map("a.jpg", first.width, first.height)


def test_more_than_255_objects_share_the_value_255() -> None:
    outline = ObjectAnnotation(0, (0, 0, 9, 9), (((0, 0), (9, 0), (9, 9)),))
    assert draw_map(ImageAnnotation("a", 10, 10, (outline,) * 300)).max() == 255
