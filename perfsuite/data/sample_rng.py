"""What decides how images are cropped and drawn: a pure function of seed, epoch and row."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from perfsuite.data.image_config import ImageConfig
from perfsuite.transforms.augment.counter_rng import uniforms
from perfsuite.transforms.augment.draws import Draw, Draws

# So that where an image is cropped has nothing to do with how it is augmented.
_CROP_STREAM_KEY = 0x9E3779B97F4A7C15

IDENTITY_DRAW, _MIRROR_DRAW = Draw(), Draw(mirror=True)


def crop_uniforms(recipe: ImageConfig, epoch: int, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    if recipe.crop != "random":
        return np.empty((len(rows), 0))
    pairs = np.stack([2 * rows, 2 * rows + 1], axis=1).reshape(-1)
    return uniforms(recipe.seed ^ _CROP_STREAM_KEY, epoch, pairs).reshape(len(rows), -1)


def iterate_draws(drawn: Draws) -> Iterator[Draw]:
    """Each draw; nothing at all, and a mirror alone, are always the same two objects."""
    is_mirror_at_most = drawn.is_identity_except("mirror").tolist()
    for place, (is_simple, mirror) in enumerate(zip(is_mirror_at_most, drawn.column("mirror"), strict=True)):
        if is_simple:
            yield _MIRROR_DRAW if mirror else IDENTITY_DRAW
        else:
            yield drawn[place]


def fold_mirror_into_resize(drawn: Draw) -> tuple[bool, Draw]:
    """Mirroring costs nothing while resizing, where nothing but it moves pixels."""
    if drawn is IDENTITY_DRAW or drawn is _MIRROR_DRAW:
        return drawn is _MIRROR_DRAW, IDENTITY_DRAW
    if drawn.mirror and drawn.quarter_turns == 0 and drawn.pose.is_pixel_permutation:
        return True, drawn.replace(mirror=False)
    return False, drawn
