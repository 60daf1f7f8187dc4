from __future__ import annotations

import pytest

from perfsuite.data.sources.annotations import Annotations, ImageAnnotation, ObjectAnnotation

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
