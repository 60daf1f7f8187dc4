"""Annotation files of COCO and of `perfsuite data make`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from perfsuite.errors import PerfsuiteError
from tests.fuzz.mutations import mutate_json
from tests.fuzz.target import Target

COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}],
    "categories": [{"id": 7, "name": "cat", "keypoints": ["left_eye", "right_eye"], "skeleton": [[1, 2]]}],
    "annotations": [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 7,
            "bbox": [1, 2, 10, 12],
            "segmentation": [[1, 2, 11, 2, 11, 14, 1, 14]],
            "keypoints": [3, 4, 2, 5, 6, 1],
            "num_keypoints": 2,
            "iscrowd": 0,
        }
    ],
}
OWN = {
    "class_names": ["cat"],
    "classes": ["cat"],
    "images": [
        {
            "file": "a.jpg",
            "width": 40,
            "height": 30,
            "objects": [
                {
                    "label": 0,
                    "box": [1, 2, 11, 14],
                    "polygon": [[1, 2], [11, 2], [11, 14]],
                    "keypoints": [[3, 4]],
                }
            ],
        }
    ],
}


def corpus() -> Sequence[bytes]:
    return [json.dumps(COCO).encode(), json.dumps(OWN).encode()]


def try_one(data: bytes, folder: Path) -> None:
    from perfsuite.data.sources.annotation_formats import read_annotations

    path = folder / "annotations.json"
    path.write_bytes(data)
    try:
        annotations = read_annotations(path)
    except PerfsuiteError:
        return
    len(annotations.names)


TARGET = Target("annotations", corpus, mutate_json, try_one, needs="torch")
