from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perfsuite.data.sources.annotation_formats import is_degenerate, read_annotations
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
    assert person.keypoints == ((1, 2), (0, 0))
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
def test_degenerate_polygons_are_recognized(polygon: list[tuple[float, float]], degenerate: bool) -> None:
    assert is_degenerate(polygon) == degenerate


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"images": [{}]},
        {"images": [{"objects": 3}]},
        [1],
        COCO | {"annotations": [{"image_id": 99, "category_id": 1, "bbox": [0, 0, 1, 1]}]},
        COCO | {"annotations": [{"image_id": 3, "category_id": 1, "bbox": [0, 0, 1]}]},
        COCO | {"annotations": [COCO["annotations"][0] | {"segmentation": [[1, 2, 3]]}]},
        COCO | {"images": [COCO["images"][0] | {"file_name": "../out.jpg"}]},
        COCO | {"images": [COCO["images"][0] | {"file_name": "/etc/out.jpg"}]},
    ],
)
def test_invalid_annotations_are_an_error(tmp_path: Path, content: object) -> None:
    with pytest.raises(DataError, match=r"a\.json: .*expected what 'perfsuite data make' writes, or COCO"):
        read_annotations(write_json(tmp_path, content))


def test_a_file_that_is_not_json_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DataError, match="or COCO"):
        read_annotations(tmp_path / "a.json")
    with pytest.raises(FileNotFoundError):
        read_annotations(tmp_path / "b.json")
