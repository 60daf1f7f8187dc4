"""Maps beside pictures: made from polygons (the expensive way), stored as .npy or .npz, and read back.

A map says for each pixel which object covers it: 0 for none, 1 for the first object and on.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch.utils.data import Dataset

from perfsuite.data.decode import decoder
from perfsuite.errors import DataError

Map = NDArray[np.uint8]
Point = tuple[float, float]
SMALLEST_AREA = 1.0  # square pixels; what is smaller covers no pixel


@dataclass(frozen=True, slots=True)
class Outline:
    """One object of a picture, in pixels."""

    label: int
    polygon: tuple[Point, ...]
    box: tuple[float, float, float, float]
    keypoints: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True)
class Annotated:
    """A picture's size and its objects; `degenerate` outlines were left out."""

    file: str
    width: int
    height: int
    objects: tuple[Outline, ...]
    degenerate: int = 0


def read_annotations(path: str | Path) -> tuple[Annotated, ...]:
    """The annotations that `perfsuite data make` writes; degenerate polygons are left out and counted."""
    try:
        rows = json.loads(Path(path).read_text())["images"]
        return tuple(_annotated(row) for row in rows)
    except (OSError, ValueError, KeyError, TypeError) as error:
        told = f"no field {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{path}: {told}; expected what 'perfsuite data make' writes") from error


def _annotated(row: Mapping[str, object]) -> Annotated:
    things = row["objects"]
    if not isinstance(things, list):
        raise TypeError("objects are no list")
    outlines = [
        Outline(
            int(thing["label"]),
            tuple((float(x), float(y)) for x, y in thing["polygon"]),
            tuple(float(edge) for edge in thing["box"]),  # type: ignore[arg-type]
            tuple((float(x), float(y)) for x, y in thing.get("keypoints", ())),
        )
        for thing in things
    ]
    kept = tuple(outline for outline in outlines if not is_degenerate(outline.polygon))
    width, height = int(str(row["width"])), int(str(row["height"]))
    return Annotated(str(row["file"]), width, height, kept, len(outlines) - len(kept))


def is_degenerate(polygon: Sequence[Point]) -> bool:
    """Fewer than three corners, a corner that is no number, or next to no area.

    >>> is_degenerate([(0, 0), (9, 0), (9, 9)]), is_degenerate([(0, 0), (9, 9), (3, 3)])
    (False, True)
    """
    if len(polygon) < 3 or not all(math.isfinite(edge) for point in polygon for edge in point):
        return True
    pairs = zip(polygon, [*polygon[1:], polygon[0]], strict=True)
    doubled = sum(x * later_y - later_x * y for (x, y), (later_x, later_y) in pairs)
    return abs(doubled) / 2 < SMALLEST_AREA


def draw_map(picture: Annotated) -> Map:
    """Draw the map from the polygons: what a stored map saves."""
    canvas = Image.new("L", (picture.width, picture.height))
    drawing = ImageDraw.Draw(canvas)
    for number, outline in enumerate(picture.objects, start=1):
        drawing.polygon(list(outline.polygon), fill=min(number, 255))
    return np.asarray(canvas)


def write_map(path: str | Path, found: Map) -> None:
    """Store a map, uncompressed (.npy) or compressed (.npz), whole or not at all."""
    path = Path(path)
    draft = path.with_name(f".{uuid4().hex}{path.suffix}")
    try:
        with draft.open("wb") as out:
            if path.suffix == ".npz":
                np.savez_compressed(out, map=found)
            else:
                np.save(out, found, allow_pickle=False)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read_map(path: str | Path) -> Map:
    """A stored map. Nothing in the file is ever run: arrays of objects are refused."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            if path.suffix != ".npz":
                return np.asarray(np.load(file, allow_pickle=False), np.uint8)
            with np.load(file, allow_pickle=False) as archive:
                return np.asarray(archive["map"], np.uint8)
    except FileNotFoundError:
        raise
    except Exception as error:  # zip, header and value errors of a damaged file have no kin in common
        raise DataError(f"{path}: {error}; write the map again") from error


def store_maps(pictures: Sequence[Annotated], folder: str | Path, suffix: str = ".npy") -> int:
    """Draw and store every map that is not there yet; how many were drawn."""
    drawn = 0
    for picture in pictures:
        path = map_path(folder, picture.file, suffix)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_map(path, draw_map(picture))
            drawn += 1
    return drawn


def map_path(folder: str | Path, file: str, suffix: str) -> Path:
    return (Path(folder) / file).with_suffix(suffix)


class PicturesWithMaps(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Pictures and maps at one size: uint8 3 x size x size, and size x size with nearest neighbours.

    With `maps`, stored ones are read and only what is missing is drawn; `drawn` and `read` count both.
    """

    def __init__(
        self,
        root: str | Path,
        pictures: Sequence[Annotated],
        size: int = 224,
        maps: str | Path | None = None,
        suffix: str = ".npy",
        in_memory: bool = False,
    ) -> None:
        self.root, self.pictures, self.size = Path(root), tuple(pictures), size
        self.maps, self.suffix = maps, suffix
        self.drawn = self.read = 0
        self._kept: dict[int, Map] | None = {} if in_memory else None

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        picture = self.pictures[row]
        pixels = Image.fromarray(decoder("auto")((self.root / picture.file).read_bytes()))
        shown = np.array(pixels.resize((self.size, self.size), Image.Resampling.BILINEAR))
        covered = Image.fromarray(self._map(row)).resize((self.size, self.size), Image.Resampling.NEAREST)
        return torch.from_numpy(shown).permute(2, 0, 1), torch.from_numpy(np.array(covered))

    def _map(self, row: int) -> Map:
        if self._kept is not None and row in self._kept:
            return self._kept[row]
        found = self._stored(row)
        if found is None:
            found = draw_map(self.pictures[row])
            self.drawn += 1
        if self._kept is not None:
            self._kept[row] = found
        return found

    def _stored(self, row: int) -> Map | None:
        if self.maps is None:
            return None
        picture = self.pictures[row]
        try:
            found = read_map(map_path(self.maps, picture.file, self.suffix))
        except FileNotFoundError:
            return None
        expected = (picture.height, picture.width)
        if found.shape != expected:
            raise DataError(f"{picture.file}: its map is of {found.shape}, expected {expected}")
        self.read += 1
        return found
