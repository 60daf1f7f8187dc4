from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from perfsuite.data.sources.annotations import Annotations, ImageAnnotation, ObjectAnnotation
from perfsuite.errors import DataError

TRIANGLE = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0))


def test_packed_annotations_are_unpacked_unchanged() -> None:
    images = [
        ImageAnnotation("none.jpg", 5, 6, ()),
        ImageAnnotation(
            "two.jpg",
            7,
            8,
            (ObjectAnnotation(2, (1, 2, 3, 4)), ObjectAnnotation(0, (0, 0, 9, 9), (TRIANGLE, TRIANGLE))),
        ),
        ImageAnnotation(
            "joint.jpg",
            9,
            9,
            (ObjectAnnotation(1, (0, 0, 1, 1), (), ((1.5, 2.5), (0.0, 0.0)), (True, False)),),
        ),
    ]
    packed = Annotations.from_images(images)
    assert list(packed) == images
    assert packed.class_names == ("0", "1", "2")
    assert packed.row_by_file() == {"none.jpg": 0, "two.jpg": 1, "joint.jpg": 2}
    with pytest.raises(IndexError):
        packed[3]


def image(**changes: Any) -> ImageAnnotation:
    return replace(
        ImageAnnotation("a.jpg", 9, 9, (ObjectAnnotation(0, (0, 0, 1, 1), (TRIANGLE,), ((1, 1),)),)),
        **changes,
    )


def thing(**changes: Any) -> dict[str, Any]:
    return {
        "objects": (ObjectAnnotation(0, (0, 0, 1, 1)), replace(ObjectAnnotation(0, (0, 0, 1, 1)), **changes))
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"file": "../a.jpg"}, "the file '../a.jpg', expected a path inside of the folder"),
        ({"file": ""}, "the file '', expected"),
        ({"width": -1}, r"a\.jpg: width -1, expected a whole number from 1"),
        ({"height": float("inf")}, r"a\.jpg: height inf, expected a whole number"),
        (thing(label=2**31), r"a\.jpg: label 2147483648, expected a whole number from 0 to 999,999"),
        (
            thing(box=(0, 0, float("nan"), 1)),
            r"a\.jpg: a box with the coordinate nan, expected numbers within",
        ),
        (
            thing(polygons=(TRIANGLE, ((0.0, 1e30), (1, 1), (2, 2)))),
            r"a\.jpg: a polygon with the coordinate 1.*e\+30",
        ),
        (thing(keypoints=((1.0, float("-inf")),)), r"a\.jpg: a keypoint with the coordinate -inf"),
    ],
)
def test_numbers_that_cannot_be_stored_are_an_error_that_names_the_image(
    changes: dict[str, Any], message: str
) -> None:
    others = [image(file="b.jpg"), image(file="c.jpg", objects=())]
    Annotations.from_images([*others, image()])
    with pytest.raises(DataError, match=message):
        Annotations.from_images([*others, image(**changes), image(file="d.jpg")])
