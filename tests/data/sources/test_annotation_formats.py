from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perfsuite.data.sources.annotation_formats import read_annotations
from perfsuite.data.sources.annotations import ObjectAnnotation
from perfsuite.errors import DataError

TRIANGLE = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0))


COCO: dict[str, Any] = {
    "images": [
        {"id": 7, "file_name": "b/2.jpg", "width": 40, "height": 30},
        {"id": 3, "file_name": "a/1.jpg", "width": 20, "height": 10},
    ],
    "categories": [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}],
    "annotations": [
        {"image_id": 3, "category_id": 90, "bbox": [1, 2, 3, 4], "segmentation": [[0, 0, 9, 0, 9, 9]]},
        {
            "image_id": 3,
            "category_id": 1,
            "bbox": [0, 0, 5, 5],
            "segmentation": [[0, 0, 5, 0, 5, 5], [1, 1, 1, 1], [2, 2, 9, 2, 9, 9]],
            "keypoints": [1, 2, 2, 0, 0, 0],
        },
        {"image_id": 3, "category_id": 1, "bbox": [0, 0, 9, 9], "iscrowd": 1, "segmentation": {"counts": ""}},
        {"image_id": 3, "category_id": 1, "bbox": [0, 0, 0, 9], "segmentation": []},
    ],
}


def write_json(folder: Path, content: object) -> Path:
    path = folder / "a.json"
    path.write_text(json.dumps(content))
    return path


def test_perfsuites_format_is_read(folder: Path) -> None:
    content = json.loads((folder / "annotations.json").read_text())["images"]
    annotations = read_annotations(folder / "annotations.json")
    assert len(annotations) == len(content) == 40
    for image, row in zip(annotations, content, strict=True):
        assert (image.file, image.width, image.height) == (row["file"], row["width"], row["height"])
        for outline, thing in zip(image.objects, row["objects"], strict=True):
            assert outline.label == thing["label"]
            assert np.allclose(outline.box, thing["box"], atol=1e-4)
            assert np.allclose(outline.polygons[0], thing["polygon"], atol=1e-4)
            assert np.allclose(outline.keypoints, thing["keypoints"], atol=1e-4)


def test_coco_is_read_with_its_classes_sorted_by_id(tmp_path: Path) -> None:
    annotations = read_annotations(write_json(tmp_path, COCO))
    assert annotations.class_names == ("person", "toothbrush")
    assert [image.file for image in annotations] == ["b/2.jpg", "a/1.jpg"]
    assert [len(image.objects) for image in annotations] == [0, 2]
    brush, person = annotations[1].objects
    assert brush == ObjectAnnotation(1, (1, 2, 4, 6), (TRIANGLE,))
    assert person.box == (0, 0, 5, 5)
    assert len(person.polygons) == 2
    assert person.keypoints == ((1.5, 2.5), (0, 0))
    assert person.visible == (True, False)
    assert (annotations.skipped_polygons, annotations.skipped_objects) == (
        1,
        2,
    )  # a polygon; a crowd and a box without width


def test_degenerate_polygons_are_skipped_and_counted(tmp_path: Path) -> None:
    good = {"label": 0, "polygon": [[0, 0], [9, 0], [9, 9]], "box": [0, 0, 9, 9]}
    bad = good | {"polygon": [[0, 0], [9, 9]]}
    row = {"file": "a.jpg", "width": 10, "height": 10, "objects": [bad, good, bad]}
    annotations = read_annotations(write_json(tmp_path, {"images": [row]}))
    assert (len(annotations[0].objects), annotations.skipped_polygons) == (1, 2)


@pytest.mark.parametrize(
    ("polygon", "is_kept"),
    [
        ([(0, 0), (4, 0), (4, 4)], True),
        ([(0, 0), (4, 4), (4, 0), (0, 4)], True),
        ([(0, 0), (4, 0)], False),
        ([(0, 0), (4, 4), (8, 8)], False),
        ([(0, 0), (0.5, 0), (0.5, 0.5)], False),
        ([], False),
    ],
)
def test_polygons_that_cover_no_pixel_are_skipped_and_self_crossing_ones_are_kept(
    tmp_path: Path, polygon: list[tuple[float, float]], is_kept: bool
) -> None:
    annotations = read_annotations(write_json(tmp_path, perfsuite_file(polygon=polygon)))
    assert len(annotations[0].objects) == is_kept
    assert annotations.skipped_polygons == 1 - is_kept


def perfsuite_file(**changes: object) -> dict[str, Any]:
    thing = {"label": 0, "polygon": [[0, 0], [9, 0], [9, 9]], "box": [0, 0, 9, 9]}
    return {"images": [{"file": "a.jpg", "width": 10, "height": 10, "objects": [thing | changes]}]}


def coco_file(kind: str, index: int = 0, **changes: object) -> dict[str, Any]:
    """COCO with one entry changed; a value of ... removes the field."""
    rows = [dict(row) for row in COCO[kind]]
    rows[index] |= changes
    rows[index] = {name: value for name, value in rows[index].items() if value is not ...}
    return COCO | {kind: rows}


INF, NAN = float("inf"), float("nan")
INVALID: list[tuple[object, str]] = [
    ([1], "the file: list, expected an object with images"),
    (1, "the file: int"),
    (None, "the file: NoneType"),
    ({}, "images: missing, expected this field"),
    ({"images": [{}]}, r"images\[0\]\.file: missing"),
    ({"images": [{"objects": 3}]}, r"images\[0\]"),
    ({"images": {}}, "images: {}, expected a valid list"),
    ({"annotations": [1]}, "images: missing"),
    (COCO | {"annotations": [1]}, r"annotations\[0\]: 1, expected"),
    (COCO | {"annotations": 5}, "annotations: 5, expected a valid list"),
    (coco_file("images", width=INF), r"images\[0\]\.width: inf, expected a valid integer"),
    (coco_file("images", width=-1), r"images\[0\]\.width: -1, expected greater than or equal to 1"),
    (coco_file("images", height=0), r"images\[0\]\.height: 0"),
    (coco_file("images", width=2**40), r"images\[0\]\.width: 1099511627776, expected less than"),
    (coco_file("images", width="40"), r"images\[0\]\.width: '40', expected a valid integer"),
    (coco_file("images", width=True), r"images\[0\]\.width: True"),
    (coco_file("images", width=None), r"images\[0\]\.width: None"),
    (coco_file("images", width=40.5), r"images\[0\]\.width: 40\.5"),
    (coco_file("images", id=[1]), r"images\[0\]\.id: \[1\]"),
    (coco_file("images", file_name=5), r"images\[0\]\.file_name: 5, expected a valid string"),
    (coco_file("images", file_name=""), r"images\[0\]\.file_name: ''"),
    (coco_file("images", file_name="../out.jpg"), "the file '../out.jpg', expected a path inside"),
    (coco_file("images", file_name="/etc/out.jpg"), "the file '/etc/out.jpg', expected a path inside"),
    (coco_file("images", file_name="a\0.jpg"), "expected a path inside"),
    (coco_file("images", file_name="a/1.jpg"), r"images\[0\]\.file_name: 'a/1.jpg' more than once"),
    (coco_file("images", id=3), r"images\[0\]\.id: 3 more than once"),
    (coco_file("categories", id=1), r"categories\[0\]\.id: 1 more than once"),
    (coco_file("categories", name=None), r"categories\[0\]\.name: None"),
    (
        coco_file("annotations", image_id=99),
        r"annotations\[0\]\.image_id: 99, expected the id of one of .* images",
    ),
    (coco_file("annotations", category_id=7), r"annotations\[0\]\.category_id: 7, expected .* categories"),
    (coco_file("annotations", bbox=[0, 0, 1]), r"annotations\[0\]\.bbox: \[0, 0, 1\], expected .*4 items"),
    (
        coco_file("annotations", bbox=[0, 0, 1, NAN]),
        r"annotations\[0\]\.bbox\[3\]: nan, expected a finite number",
    ),
    (
        coco_file("annotations", bbox=[0, 0, 1, 1e30]),
        r"annotations\[0\]\.bbox\[3\]: 1e\+30, expected less than",
    ),
    (
        coco_file("annotations", bbox=[0, 0, 1, "1"]),
        r"annotations\[0\]\.bbox\[3\]: '1', expected a valid number",
    ),
    (
        coco_file("annotations", bbox=[0, 0, 1, True]),
        r"annotations\[0\]\.bbox\[3\]: True, expected a valid number",
    ),
    (coco_file("annotations", bbox={"a": 1}), r"annotations\[0\]\.bbox: {'a': 1}"),
    (coco_file("annotations", bbox=...), r"annotations\[0\]\.bbox: missing, expected this field"),
    (
        coco_file("annotations", segmentation=[[1, 2, 3]]),
        r"segmentation\[0\]: 3 coordinates, expected an even",
    ),
    (
        coco_file("annotations", segmentation=[[1, INF, 3, 4]]),
        r"annotations\[0\]\.segmentation\[0\]\[1\]: inf",
    ),
    (
        coco_file("annotations", segmentation=[5]),
        r"annotations\[0\]\.segmentation\[0\]: 5, expected a valid list",
    ),
    (coco_file("annotations", segmentation="abc"), r"annotations\[0\]\.segmentation: 'abc'"),
    (
        coco_file("annotations", 1, keypoints=[1, 2]),
        r"annotations\[1\]\.keypoints: 2 numbers, expected a multiple",
    ),
    (coco_file("annotations", 1, keypoints=[1, 2, "v"]), r"annotations\[1\]\.keypoints\[2\]: 'v'"),
    (coco_file("annotations", iscrowd="yes"), r"annotations\[0\]\.iscrowd: 'yes'"),
    (perfsuite_file(label=2**31), r"images\[0\]\.objects\[0\]\.label: 2147483648, expected less than"),
    (perfsuite_file(label=-1), r"images\[0\]\.objects\[0\]\.label: -1, expected greater than"),
    (perfsuite_file(label=1.5), r"images\[0\]\.objects\[0\]\.label: 1\.5"),
    (perfsuite_file(label="cat"), r"images\[0\]\.objects\[0\]\.label: 'cat'"),
    (perfsuite_file(polygon=[[0, NAN], [4, 0], [4, 4]]), r"objects\[0\]\.polygon\[0\]\[1\]: nan"),
    (perfsuite_file(polygon=[[0], [4, 0], [4, 4]]), r"objects\[0\]\.polygon\[0\]: \[0\], expected"),
    (perfsuite_file(polygon=None), r"objects\[0\]\.polygon: None"),
    (perfsuite_file(keypoints=[[1, 2, 3]]), r"objects\[0\]\.keypoints\[0\]: \[1, 2, 3\]"),
    (perfsuite_file(box=[0, 0, INF, 1]), r"objects\[0\]\.box\[2\]: inf"),
    ({"images": perfsuite_file()["images"] * 2}, r"images\[0\]\.file: 'a.jpg' more than once"),
    (perfsuite_file() | {"keypoint_flip_pairs": [[0, 1]]}, r"the pair \(0, 1\), expected two of the indices"),
    (perfsuite_file() | {"keypoint_flip_pairs": [[0]]}, r"keypoint_flip_pairs\[0\]: \[0\]"),
]


@pytest.mark.parametrize(("content", "message"), INVALID)
def test_invalid_annotations_are_an_error_that_names_file_and_place(
    tmp_path: Path, content: object, message: str
) -> None:
    with pytest.raises(
        DataError, match=rf"a\.json: .*{message}.*write what 'perfsuite data make' writes, or COCO"
    ):
        read_annotations(write_json(tmp_path, content))


def test_the_unchanged_files_are_valid(tmp_path: Path) -> None:
    """The negative control of the changes above."""
    for content in (COCO, perfsuite_file(), coco_file("annotations", segmentation=None)):
        read_annotations(write_json(tmp_path, content))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "expected JSON"),
        (b"{", "expected JSON"),
        (b"\xff\xfe{}", "expected JSON"),
        (b'{"images": "\xff"}', "expected JSON"),
        (b"[" * 100_000, "recursion limit exceeded.*expected JSON"),
        (b'{"images": ' + b'{"a":' * 50_000, "recursion limit exceeded.*expected JSON"),
        (b'{"images": 1e999}', "images: inf"),
        (b'{"images": -}', "expected JSON"),
        (b"\0" * 50, "expected JSON"),
    ],
)
def test_a_file_that_is_not_json_is_an_error(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(DataError, match=rf"a\.json: .*{message}"):
        read_annotations(tmp_path / "a.json")


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    path = write_json(tmp_path, COCO)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_annotations(path)) == 2


def test_files_that_are_not_regular_do_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(DataError, match=r"a\.json: a FIFO, a socket or a device, expected a regular file"):
        read_annotations(tmp_path / "a.json")
    with pytest.raises(DataError, match="Is a directory"):
        read_annotations(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_annotations(tmp_path / "b.json")


def with_keypoints(*keypoints: float, names: list[str]) -> dict[str, Any]:
    """One image with one object with these keypoints."""
    thing = {"image_id": 3, "category_id": 1, "bbox": [0, 0, 9, 9], "keypoints": list(keypoints)}
    return COCO | {
        "categories": [{"id": 1, "name": "person", "keypoints": names}], "annotations": [thing]
    }  # fmt: skip


def test_whole_keypoints_are_pixel_indices_and_fractional_ones_coordinates(tmp_path: Path) -> None:
    names = ["nose", "left_eye", "right_eye"]
    whole = with_keypoints(3, 4, 2, 5, 6, 1, 0, 0, 0, names=names)
    person = read_annotations(write_json(tmp_path, whole))[1].objects[0]
    assert person.keypoints == ((3.5, 4.5), (5.5, 6.5), (0, 0))
    assert person.visible == (True, True, False)
    fractional = with_keypoints(3, 4, 2, 5.25, 6, 1, 0, 0, 0, names=names)
    person = read_annotations(write_json(tmp_path, fractional))[1].objects[0]
    assert person.keypoints == ((3, 4), (5.25, 6), (0, 0))


def test_flip_orders_come_from_the_names(tmp_path: Path) -> None:
    content = with_keypoints(*range(1, 10), names=["nose", "left_eye", "right_eye"])
    assert read_annotations(write_json(tmp_path, content)).flip_orders == ((0, 2, 1),)
    unclear = with_keypoints(*range(1, 10), names=["a", "b", "c"])
    assert read_annotations(write_json(tmp_path, unclear)).flip_orders == (None,)
    with pytest.raises(DataError, match=r"annotations\[0\]\.keypoints: 9 numbers, expected 6"):
        read_annotations(write_json(tmp_path, with_keypoints(*range(1, 10), names=["left_eye", "right_eye"])))


def test_flip_orders_come_from_the_pairs_of_perfsuites_format(tmp_path: Path) -> None:
    content = perfsuite_file(keypoints=[[1, 1], [2, 2], [3, 3]])
    assert read_annotations(write_json(tmp_path, content)).flip_orders == ()
    paired = content | {"keypoint_flip_pairs": [[1, 2]]}
    assert read_annotations(write_json(tmp_path, paired)).flip_orders == ((0, 2, 1),)
