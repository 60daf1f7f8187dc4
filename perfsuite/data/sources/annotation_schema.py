"""What annotation files must contain: COCO's format and perfsuite's, checked by pydantic.

Fields that are not named here are ignored. Numbers must be numbers, not text or booleans.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import Discriminator, Field, Tag, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from perfsuite.data.sources.annotations import MAX_COORDINATE, MAX_LABEL, MAX_SIDE
from perfsuite.errors import DataError

Coordinate = Annotated[float, Field(strict=True, ge=-MAX_COORDINATE, le=MAX_COORDINATE, allow_inf_nan=False)]
Side = Annotated[int, Field(strict=True, ge=1, le=MAX_SIDE)]
Id = Annotated[int, Field(strict=True)]
Text = Annotated[str, Field(strict=True, min_length=1)]
Point = Annotated[list[Coordinate], Field(min_length=2, max_length=2)]
Box = Annotated[list[Coordinate], Field(min_length=4, max_length=4)]


def _mask_kind(value: object) -> str:
    return "polygons" if isinstance(value, list) else "mask"


# A run-length mask, or none, is not read.
Segmentation = Annotated[
    Annotated[list[list[Coordinate]], Tag("polygons")] | Annotated[dict[str, Any] | None, Tag("mask")],
    Discriminator(_mask_kind),
]
_UNION_TAGS = {"polygons", "mask"}


@dataclass(slots=True)
class CocoImage:
    id: Id
    file_name: Text
    width: Side
    height: Side


@dataclass(slots=True)
class CocoCategory:
    id: Id
    name: Text
    keypoints: list[Text] = Field(default_factory=list)


@dataclass(slots=True)
class CocoAnnotation:
    image_id: Id
    category_id: Id
    bbox: Box  # left, top, width, height
    segmentation: Segmentation = Field(default_factory=list)
    keypoints: list[Coordinate] = Field(default_factory=list)  # x, y, visibility
    iscrowd: int = 0


@dataclass(slots=True)
class CocoFile:
    images: list[CocoImage]
    categories: list[CocoCategory]
    annotations: list[CocoAnnotation]


@dataclass(slots=True)
class PerfsuiteObject:
    label: Annotated[int, Field(strict=True, ge=0, le=MAX_LABEL)]
    box: Box  # left, top, right, bottom
    polygon: list[Point]
    keypoints: list[Point] = Field(default_factory=list)


@dataclass(slots=True)
class PerfsuiteImage:
    file: Text
    width: Side
    height: Side
    objects: list[PerfsuiteObject]


@dataclass(slots=True)
class PerfsuiteFile:
    images: list[PerfsuiteImage]
    # Which keypoints change places in a mirror; None if unknown.
    keypoint_flip_pairs: list[Annotated[list[Id], Field(min_length=2, max_length=2)]] | None = None


File = TypeVar("File")


def parse_json(data: bytes) -> object:
    """Parse JSON; a DataError for text that is not JSON, not UTF-8, or nested too deep."""
    try:
        content: object = TypeAdapter(Any).validate_json(data)
    except ValidationError as error:
        raise DataError(f"{error.errors()[0]['msg']}, expected JSON") from error
    return content


def validate_file(content: object, kind: type[File]) -> File:
    """Check the content against a class of this module; a DataError names the first place that is wrong."""
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise DataError(
            f"{_place(first['loc'])}: {_found(first)}, expected {_expectation(first['msg'])}"
        ) from error


def _place(location: tuple[int | str, ...]) -> str:
    """Python's way to write it.

    >>> _place(("annotations", 3, "segmentation", "polygons", 0))
    'annotations[3].segmentation[0]'
    """
    steps = (step for step in location if step not in _UNION_TAGS)
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return place.removeprefix(".") or "the file"


def _found(error: Any) -> str:
    if error["type"] == "missing":
        return "missing"
    text = repr(error["input"])
    return text if len(text) <= 60 else f"{text[:57]}..."


def _expectation(message: str) -> str:
    """pydantic's message as the end of a sentence.

    >>> _expectation("Input should be a valid integer"), _expectation("Field required")
    ('a valid integer', 'this field')
    """
    if message == "Field required":
        return "this field"
    return message.removeprefix("Input should be ").removeprefix("Input should have ")
