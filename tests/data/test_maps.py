from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from perfsuite.data.maps import (
    Annotated,
    Outline,
    PicturesWithMaps,
    draw_map,
    is_degenerate,
    read_annotations,
    read_map,
    store_maps,
    write_map,
)
from perfsuite.errors import DataError


@pytest.fixture(scope="module")
def pictures(folder: Path) -> tuple[Annotated, ...]:
    return read_annotations(folder / "annotations.json")


def test_a_drawn_map_covers_its_boxes_and_nothing_else(pictures: tuple[Annotated, ...]) -> None:
    for picture in pictures[:10]:
        found = draw_map(picture)
        assert found.shape == (picture.height, picture.width)
        assert set(np.unique(found)) <= set(range(len(picture.objects) + 1))
        last = picture.objects[-1]
        down, across = np.nonzero(found == len(picture.objects))
        left, top, right, bottom = last.box
        assert abs(across.min() - left) <= 1.5
        assert abs(across.max() - right) <= 1.5
        assert abs(down.min() - top) <= 1.5
        assert abs(down.max() - bottom) <= 1.5


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_stored_maps_are_used_and_never_made_again(
    folder: Path, pictures: tuple[Annotated, ...], tmp_path: Path, suffix: str
) -> None:
    assert store_maps(pictures, tmp_path, suffix) == 40
    assert store_maps(pictures, tmp_path, suffix) == 0
    fly = PicturesWithMaps(folder, pictures, 64)
    stored = PicturesWithMaps(folder, pictures, 64, tmp_path, suffix)
    for row in range(40):
        for ours, theirs in zip(stored[row], fly[row], strict=True):
            assert torch.equal(ours, theirs)
    assert (fly.drawn, fly.read) == (40, 0)
    assert (stored.drawn, stored.read) == (0, 40)


def test_a_map_that_is_missing_is_drawn_and_counted(
    folder: Path, pictures: tuple[Annotated, ...], tmp_path: Path
) -> None:
    store_maps(pictures[:39], tmp_path)
    found = PicturesWithMaps(folder, pictures, 32, tmp_path)
    for row in range(40):
        found[row]
    assert (found.drawn, found.read) == (1, 39)


def test_maps_kept_in_memory_are_read_once(
    folder: Path, pictures: tuple[Annotated, ...], tmp_path: Path
) -> None:
    store_maps(pictures, tmp_path)
    found = PicturesWithMaps(folder, pictures, 32, tmp_path, in_memory=True)
    for _ in range(3):
        found[0]
    assert (found.drawn, found.read) == (0, 1)


@pytest.mark.parametrize(
    ("polygon", "degenerate"),
    [
        ([(0, 0), (4, 0), (4, 4)], False),
        ([(0, 0), (4, 0)], True),
        ([(0, 0), (4, 4), (8, 8)], True),
        ([(0, 0), (0.5, 0), (0.5, 0.5)], True),
        ([(0, 0), (float("nan"), 0), (4, 4)], True),
        ([], True),
    ],
)
def test_degenerate_polygons_are_known(polygon: list[tuple[float, float]], degenerate: bool) -> None:
    assert is_degenerate(polygon) == degenerate


def test_degenerate_polygons_are_left_out_and_counted(tmp_path: Path) -> None:
    good = {"label": 0, "polygon": [[0, 0], [9, 0], [9, 9]], "box": [0, 0, 9, 9]}
    bad = good | {"polygon": [[0, 0], [9, 9]]}
    row = {"file": "a.jpg", "width": 10, "height": 10, "objects": [bad, good, bad]}
    (tmp_path / "a.json").write_text(json.dumps({"images": [row]}))
    (found,) = read_annotations(tmp_path / "a.json")
    assert (len(found.objects), found.degenerate) == (1, 2)


@pytest.mark.parametrize("text", ["", "{}", '{"images": [{}]}', '{"images": [{"objects": 3}]}', "[1]"])
def test_annotations_without_sense_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match="expected what 'perfsuite data make' writes"):
        read_annotations(tmp_path / "a.json")


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


def test_a_map_of_another_size_is_refused(
    folder: Path, pictures: tuple[Annotated, ...], tmp_path: Path
) -> None:
    store_maps(pictures[:1], tmp_path)
    write_map((tmp_path / pictures[0].file).with_suffix(".npy"), np.zeros((3, 3), np.uint8))
    with pytest.raises(DataError, match=r"its map is of \(3, 3\)"):
        PicturesWithMaps(folder, pictures, 32, tmp_path)[0]


def test_more_than_255_objects_still_make_a_map() -> None:
    outline = Outline(0, ((0, 0), (9, 0), (9, 9)), (0, 0, 9, 9))
    assert draw_map(Annotated("a", 10, 10, (outline,) * 300)).max() == 255
