"""What decides how pictures are cropped and drawn: a pure function of seed, epoch and row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from perfsuite.data.recipe import Recipe
from perfsuite.transforms.geometry import moves_pixels_only
from perfsuite.transforms.modes import Draw, Draws
from perfsuite.transforms.randomness import uniforms

# So that where a picture is cropped has nothing to do with how it is augmented.
_CROP_STREAM = 0x9E3779B97F4A7C15

NOTHING_DRAWN, _MIRRORED = Draw(), Draw(mirror=True)
_NOTHING_ROW = Draws.of([NOTHING_DRAWN]).rows


def crop_numbers(recipe: Recipe, epoch: int, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    if recipe.crop != "random":
        return np.empty((len(rows), 0))
    pairs = np.stack([2 * rows, 2 * rows + 1], axis=1).reshape(-1)
    return uniforms(recipe.seed ^ _CROP_STREAM, epoch, pairs).reshape(len(rows), -1)


def one_by_one(drawn: Draws) -> Iterator[Draw]:
    """Each draw; nothing at all, and a mirror alone, are always the same two objects."""
    is_mirror_at_most = (drawn.rows[:, 1:] == _NOTHING_ROW[:, 1:]).all(1).tolist()
    for place, (is_simple, mirror) in enumerate(zip(is_mirror_at_most, drawn.column("mirror"), strict=True)):
        if is_simple:
            yield _MIRRORED if mirror else NOTHING_DRAWN
        else:
            yield drawn[place]


def mirrored_on_the_way(drawn: Draw) -> tuple[bool, Draw]:
    """Mirroring costs nothing while resizing, where nothing but it moves pixels."""
    if drawn is NOTHING_DRAWN or drawn is _MIRRORED:
        return drawn is _MIRRORED, NOTHING_DRAWN
    if drawn.mirror and drawn.quarter_turns == 0 and moves_pixels_only(drawn):
        return True, replace(drawn, mirror=False)
    return False, drawn
