"""What a detector learns from: the objects of each picture of a batch, where the batch shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from perfsuite.data.annotations import Annotated, Annotations, Outline
from perfsuite.data.sets import Source
from perfsuite.data.slots import Batch
from perfsuite.errors import DataError
from perfsuite.transforms.geometry import is_nothing
from perfsuite.transforms.labels import Followed, Labels, follow

Target = dict[str, Any]


class Targets:
    """Targets of a batch, a dict for each picture, with the names that torchvision's detectors use.

    `row` is the picture's row of the source, `boxes` (float32, left, top, right, bottom) and `labels` (int64,
    places in `class_names`) are of the objects that are still to be seen. Where the annotations have them,
    `polygons` holds a list for each object, and `keypoints` is float32 of objects x joints x (x, y, seen).
    With maps, `map` is that of the picture.
    """

    def __init__(self, annotations: Annotations, size: int) -> None:
        self._annotations, self._size = annotations, size
        self._rows = annotations.rows()
        counts = np.diff(annotations.keypoint_ends, prepend=0)
        self._joints = int(counts.max(initial=0))
        self._has_polygons = len(annotations.point_ends) > 0

    def of(self, batch: Batch, source: Source) -> list[Target]:
        if batch.moved is None or batch.sizes is None:
            raise ValueError("targets: the batch does not say how its pictures were moved")
        moved, sizes = batch.moved.numpy(), batch.sizes.numpy()
        targets = []
        for place, row in enumerate(batch.rows.tolist()):
            annotated = self._annotated(source.name(row), *sizes[place].tolist())
            target = {"row": row, **self._target(annotated, moved[place])}
            if batch.maps is not None:
                target["map"] = batch.maps[place].clone()
            targets.append(target)
        return targets

    def _annotated(self, name: str, width: int, height: int) -> Annotated:
        row = self._rows.get(name)
        if row is None:
            raise DataError(f"{name}: no annotation is of this file; leave the picture out or annotate it")
        found = self._annotations[row]
        # A size of nothing is that of a picture that could not be read and was substituted.
        if (width, height) not in ((found.width, found.height), (0, 0)):
            raise DataError(
                f"{name}: is {width}x{height} pixels, its annotation is for {found.width}x{found.height}; "
                "annotate the pictures as they are (upright, by their EXIF orientation)"
            )
        return found

    def _target(self, annotated: Annotated, moved: NDArray[np.float64]) -> Target:
        outlines = annotated.objects
        owners = [number for number, outline in enumerate(outlines) for _ in outline.polygons]
        joints = [self._joints_of(outline) for outline in outlines]
        labels = Labels(
            boxes=np.array([outline.box for outline in outlines]).reshape(-1, 4),
            keypoints=np.array(joints).reshape(-1, 3)[:, :2],
            polygons=tuple(np.array(polygon) for outline in outlines for polygon in outline.polygons),
        )
        followed = self._followed(labels, moved)
        kept = followed.boxes_kept
        target: Target = {
            "boxes": torch.from_numpy(followed.labels.boxes.astype(np.float32)),
            "labels": torch.tensor([outlines[number].label for number in kept], dtype=torch.int64),
        }
        if self._has_polygons:
            target["polygons"] = _polygons(followed, owners, kept)
        if self._joints:
            seen = np.array(joints).reshape(-1, 3)[:, 2:] * followed.keypoints_inside[:, None]
            all_joints = np.concatenate([followed.labels.keypoints, seen], axis=1)
            by_object = all_joints.reshape(len(outlines), self._joints, 3)[kept]
            target["keypoints"] = torch.from_numpy(by_object.astype(np.float32))
        return target

    def _followed(self, labels: Labels, moved: NDArray[np.float64]) -> Followed:
        """First into the crop, and cut there: what it leaves out, no turn brings back."""
        first, second = (np.vstack([step, (0, 0, 1)]) for step in moved)
        cut = follow(labels, first, self._size, self._size)
        if is_nothing(second):
            return cut
        turned = follow(cut.labels, second, self._size, self._size)
        return Followed(
            turned.labels,
            boxes_kept=cut.boxes_kept[turned.boxes_kept],
            keypoints_inside=cut.keypoints_inside & turned.keypoints_inside,
            polygons_kept=cut.polygons_kept[turned.polygons_kept],
            boxes_dropped=cut.boxes_dropped + turned.boxes_dropped,
            polygons_dropped=cut.polygons_dropped + turned.polygons_dropped,
        )

    def _joints_of(self, outline: Outline) -> list[tuple[float, float, float]]:
        """As many joints of each object; those that it lacks are not seen."""
        found = [(x, y, float(seen)) for (x, y), seen in zip(outline.keypoints, outline.visible, strict=True)]
        return found + [(0.0, 0.0, 0.0)] * (self._joints - len(found))


def _polygons(
    followed: Followed, owners: Sequence[int], objects: NDArray[np.int64]
) -> list[list[torch.Tensor]]:
    """What is left of each object's polygons."""
    by_object: dict[int, list[torch.Tensor]] = {number: [] for number in objects.tolist()}
    for polygon, number in zip(followed.labels.polygons, followed.polygons_kept.tolist(), strict=True):
        if owners[number] in by_object:
            by_object[owners[number]].append(torch.from_numpy(polygon.astype(np.float32)))
    return list(by_object.values())
