"""What a detector learns from: the objects of each image of a batch, where the batch shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from perfsuite.data.batch import Batch
from perfsuite.data.sources.annotations import Annotations, ImageAnnotation, ObjectAnnotation
from perfsuite.data.sources.files import ImageSource
from perfsuite.errors import DataError
from perfsuite.transforms.geometry import is_identity
from perfsuite.transforms.labels.labels import Labels, TransformedLabels, transform_labels

Target = dict[str, Any]


class TargetBuilder:
    """Targets of a batch, a dict for each image, with the names that torchvision's detectors use.

    `row` is the image's row of the source, `boxes` (float32, left, top, right, bottom) and `labels` (int64,
    places in `class_names`) are of the objects that are still to be seen. Where the annotations have them,
    `polygons` holds a list for each object, and `keypoints` is float32 of objects x joints x (x, y, seen).
    With maps, `map` is that of the image.
    """

    def __init__(self, annotations: Annotations, size: int) -> None:
        self._annotations, self._size = annotations, size
        self._rows = annotations.rows()
        counts = np.diff(annotations.keypoint_ends, prepend=0)
        self._max_keypoints = int(counts.max(initial=0))
        self._has_polygons = len(annotations.point_ends) > 0

    def build(self, batch: Batch, source: ImageSource) -> list[Target]:
        if batch.affines is None or batch.original_sizes is None:
            raise ValueError("targets: the batch does not say how its images were moved")
        moved, sizes = batch.affines.numpy(), batch.original_sizes.numpy()
        targets = []
        for place, row in enumerate(batch.rows.tolist()):
            annotated = self._annotation_of(source.name(row), *sizes[place].tolist())
            target = {"row": row, **self._target(annotated, moved[place])}
            if batch.maps is not None:
                target["map"] = batch.maps[place].clone()
            targets.append(target)
        return targets

    def _annotation_of(self, name: str, width: int, height: int) -> ImageAnnotation:
        row = self._rows.get(name)
        if row is None:
            raise DataError(f"{name}: no annotation is of this file; leave the image out or annotate it")
        found = self._annotations[row]
        # A size of nothing is that of an image that could not be read and was substituted.
        if (width, height) not in ((found.width, found.height), (0, 0)):
            raise DataError(
                f"{name}: is {width}x{height} pixels, its annotation is for {found.width}x{found.height}; "
                "annotate the images as they are (upright, by their EXIF orientation)"
            )
        return found

    def _target(self, annotated: ImageAnnotation, moved: NDArray[np.float64]) -> Target:
        outlines = annotated.objects
        owners = [number for number, outline in enumerate(outlines) for _ in outline.polygons]
        joints = [self._padded_keypoints(outline) for outline in outlines]
        labels = Labels(
            boxes=np.array([outline.box for outline in outlines]).reshape(-1, 4),
            keypoints=np.array(joints).reshape(-1, 3)[:, :2],
            polygons=tuple(np.array(polygon) for outline in outlines for polygon in outline.polygons),
        )
        followed = self._transform_labels(labels, moved)
        kept = followed.box_indices
        target: Target = {
            "boxes": torch.from_numpy(followed.labels.boxes.astype(np.float32)),
            "labels": torch.tensor([outlines[number].label for number in kept], dtype=torch.int64),
        }
        if self._has_polygons:
            target["polygons"] = _polygons_by_object(followed, owners, kept)
        if self._max_keypoints:
            seen = np.array(joints).reshape(-1, 3)[:, 2:] * followed.keypoints_inside[:, None]
            all_joints = np.concatenate([followed.labels.keypoints, seen], axis=1)
            by_object = all_joints.reshape(len(outlines), self._max_keypoints, 3)[kept]
            target["keypoints"] = torch.from_numpy(by_object.astype(np.float32))
        return target

    def _transform_labels(self, labels: Labels, moved: NDArray[np.float64]) -> TransformedLabels:
        """First into the crop, and cut there: what it leaves out, no turn brings back."""
        first, second = (np.vstack([step, (0, 0, 1)]) for step in moved)
        cut = transform_labels(labels, first, self._size, self._size)
        if is_identity(second):
            return cut
        turned = transform_labels(cut.labels, second, self._size, self._size)
        return TransformedLabels(
            turned.labels,
            box_indices=cut.box_indices[turned.box_indices],
            keypoints_inside=cut.keypoints_inside & turned.keypoints_inside,
            polygon_indices=cut.polygon_indices[turned.polygon_indices],
            boxes_dropped=cut.boxes_dropped + turned.boxes_dropped,
            polygons_dropped=cut.polygons_dropped + turned.polygons_dropped,
        )

    def _padded_keypoints(self, outline: ObjectAnnotation) -> list[tuple[float, float, float]]:
        """As many joints of each object; those that it lacks are not seen."""
        found = [(x, y, float(seen)) for (x, y), seen in zip(outline.keypoints, outline.visible, strict=True)]
        return found + [(0.0, 0.0, 0.0)] * (self._max_keypoints - len(found))


def _polygons_by_object(
    followed: TransformedLabels, owners: Sequence[int], objects: NDArray[np.int64]
) -> list[list[torch.Tensor]]:
    """What is left of each object's polygons."""
    by_object: dict[int, list[torch.Tensor]] = {number: [] for number in objects.tolist()}
    for polygon, number in zip(followed.labels.polygons, followed.polygon_indices.tolist(), strict=True):
        if owners[number] in by_object:
            by_object[owners[number]].append(torch.from_numpy(polygon.astype(np.float32)))
    return list(by_object.values())
