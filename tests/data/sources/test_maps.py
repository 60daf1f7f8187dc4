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
def annotations(folder: Path) -> Annotations:
    return read_annotations(folder / "annotations.json")


def test_a_drawn_map_covers_its_boxes_and_nothing_else(annotations: Annotations) -> None:
    for image in list(annotations)[:10]:
        found = draw_map(image)
        assert found.shape == (image.height, image.width)
        assert set(np.unique(found)) <= set(range(len(image.objects) + 1))
        last = image.objects[-1]
        down, across = np.nonzero(found == len(image.objects))
        left, top, right, bottom = last.box
        assert abs(across.min() - left) <= 1.5
        assert abs(across.max() - right) <= 1.5
        assert abs(down.min() - top) <= 1.5
        assert abs(down.max() - bottom) <= 1.5


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_stored_maps_are_used_and_never_made_again(
    folder: Path, annotations: Annotations, tmp_path: Path, suffix: str
) -> None:
    assert store_maps(annotations, tmp_path, suffix) == 40
    assert store_maps(annotations, tmp_path, suffix) == 0
    fly, stored = MapSource(annotations=annotations), MapSource(tmp_path, annotations, suffix)
    for image in annotations:
        sides = image.width, image.height
        assert np.array_equal(stored.get_map(image.file, *sides), fly.get_map(image.file, *sides))
    assert (fly.drawn_count, fly.read_count) == (40, 0)
    assert (stored.drawn_count, stored.read_count) == (0, 40)


def test_loaders_read_every_map_and_draw_none_that_is_stored(
    folder: Path, annotations: Annotations, tmp_path: Path
) -> None:
    store_maps(annotations, tmp_path)
    stored = MapSource(tmp_path, annotations)
    loaders = make_loaders(folder, 8, 2, image_size=32, maps=stored, engine="threads")
    for images, maps in loaders.train:
        assert maps.shape == (len(images), 32, 32)
        assert maps.dtype == torch.uint8
        assert maps.max() > 0
    assert (stored.drawn_count, stored.read_count) == (0, 32)
    loaders.close()


def test_a_map_that_is_missing_is_drawn_and_counted(
    folder: Path, annotations: Annotations, tmp_path: Path
) -> None:
    store_maps(list(annotations)[:39], tmp_path)
    found = MapSource(tmp_path, annotations)
    for image in annotations:
        found.get_map(image.file, image.width, image.height)
    assert (found.drawn_count, found.read_count) == (1, 39)


def test_maps_kept_in_memory_are_read_once(annotations: Annotations, tmp_path: Path) -> None:
    store_maps(annotations, tmp_path)
    found, first = MapSource(tmp_path, in_memory=True), annotations[0]
    for _ in range(3):
        found.get_map(first.file, first.width, first.height)
    assert (found.drawn_count, found.read_count) == (0, 1)


def test_a_map_that_is_nowhere_is_named(folder: Path, tmp_path: Path) -> None:
    loaders = make_loaders(folder, 4, 0, image_size=16, maps=tmp_path)
    with pytest.raises(DataError, match=r"class_.*\.jpg: its map .*\.npy does not exist; store_maps"):
        next(iter(loaders.train))


def test_maps_from_nowhere_and_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="neither a folder nor annotations"):
        MapSource()
    with pytest.raises(ValueError, match=r"suffix '.png', expected one of .npy, .npz"):
        MapSource(tmp_path, suffix=".png")


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_damaged_map_is_named_and_objects_are_never_loaded(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    write_map(path, np.zeros((40, 50), np.uint8))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match="write the map again"):
        read_map(path)
    with path.open("wb") as out:
        np.save(out, np.array([{}], object), allow_pickle=True)
    with pytest.raises(DataError, match="write the map again"):
        read_map(path)


def test_a_map_of_another_size_is_refused(annotations: Annotations, tmp_path: Path) -> None:
    first = annotations[0]
    write_map((tmp_path / "a.npy"), np.zeros((3, 3), np.uint8))
    with pytest.raises(DataError, match=r"its map has shape \(3, 3\)"):
        MapSource(tmp_path).get_map("a.jpg", first.width, first.height)


def test_more_than_255_objects_still_make_a_map() -> None:
    outline = ObjectAnnotation(0, (0, 0, 9, 9), (((0, 0), (9, 0), (9, 9)),))
    assert draw_map(ImageAnnotation("a", 10, 10, (outline,) * 300)).max() == 255
