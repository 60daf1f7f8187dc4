"""Keypoints: x and y in pixels from the top left corner, (number, 2).

A mirror exchanges left and right: the left eye of the mirrored image is the right eye of the person. So a
mirrored skeleton needs its left and right keypoints exchanged, by a flip order: entry i is the keypoint whose
place in the list keypoint i takes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from perfsuite.errors import DataError
from perfsuite.transforms.arrays import FloatArray, Matrix

FlipOrder = tuple[int, ...]
_OTHER_SIDE = {"left": "right", "right": "left", "l": "r", "r": "l"}


def transform_points(points: FloatArray, forward: Matrix) -> FloatArray:
    """Map points, an array whose last axis is x and y."""
    return np.asarray(points @ forward[:2, :2].T + forward[:2, 2])


def points_inside(points: FloatArray, height: int, width: int) -> NDArray[np.bool_]:
    """For each point, whether it lies in the image."""
    x, y = points[:, 0], points[:, 1]
    return np.asarray((x >= 0) & (x < width) & (y >= 0) & (y < height))


def is_mirrored(forward: Matrix) -> bool:
    """Whether an affine map exchanges left and right: a mirror, also when it is turned."""
    return bool(forward[0, 0] * forward[1, 1] - forward[0, 1] * forward[1, 0] < 0)


def flip_order_of_pairs(count: int, pairs: Sequence[tuple[int, int]]) -> FlipOrder:
    """The flip order of `count` keypoints of which the `pairs` change places.

    >>> flip_order_of_pairs(5, [(1, 2), (3, 4)])
    (0, 2, 1, 4, 3)
    """
    order = list(range(count))
    for pair in pairs:
        is_valid = len(pair) == 2 and all(isinstance(index, int) and 0 <= index < count for index in pair)
        if not is_valid or pair[0] == pair[1]:
            raise DataError(f"keypoints: the pair {pair}, expected two of the indices 0 to {count - 1}")
        one, other = pair
        if order[one] != one or order[other] != other:
            raise DataError(f"keypoints: the pair {pair}, expected each keypoint in one pair only")
        order[one], order[other] = other, one
    return tuple(order)


def flip_order_of_names(names: Sequence[str]) -> FlipOrder | None:
    """The flip order of keypoints that are named by their sides; None if the names do not say it.

    Each name with left or right (or l, r) needs its partner. Without any side, or with a numbered keypoint
    that has none, the order is unknown.

    >>> flip_order_of_names(["nose", "left_eye", "right_eye"])
    (0, 2, 1)
    >>> flip_order_of_names(["nose", "left_eye", "right_ear"]) is None
    True
    >>> flip_order_of_names(["left_eye", "right_eye", "mouth_1", "mouth_2"]) is None
    True
    """
    words = [tuple(word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", name)) for name in names]
    index_of = {word: index for index, word in enumerate(words)}
    partners = [tuple(_OTHER_SIDE.get(word, word) for word in of_name) for of_name in words]
    has_side = [partner != of_name for partner, of_name in zip(partners, words, strict=True)]
    is_clear = len(index_of) == len(words) and any(has_side)
    for partner, is_sided, of_name in zip(partners, has_side, words, strict=True):
        is_numbered = bool(of_name) and of_name[-1].isdigit()
        is_clear = is_clear and partner in index_of and (is_sided or not is_numbered)
    return tuple(index_of[partner] for partner in partners) if is_clear else None
