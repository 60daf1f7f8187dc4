"""Erasing fills one rectangle whose sides are within the range."""

from __future__ import annotations

import numpy as np

from perfsuite.transforms.augment.cpu import augment_image
from perfsuite.transforms.augment.modes import AugmentationMode
from perfsuite.transforms.augment.operations.erase import Erase, erase_rectangle
from perfsuite.transforms.augment.parameters import AugmentationParameters, draw_parameters, epoch_parameters

IMAGE = np.random.default_rng(0).integers(0, 256, (21, 34, 3), dtype=np.uint8)


def test_erasing_fills_one_rectangle() -> None:
    parameters = draw_parameters(AugmentationMode("erasing", (Erase(probability=1.0),)), 1, 0, 3)
    erased = augment_image(parameters, IMAGE, fill=7)
    changed = (erased != IMAGE).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert (erased[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] == 7).all()
    assert 0.1 * 21 - 1 <= len(rows) <= 0.4 * 21 + 1


def test_a_probability_of_zero_erases_nothing() -> None:
    parameters = draw_parameters(AugmentationMode("erasing", (Erase(probability=0.0),)), 1, 0, 3)
    assert parameters == AugmentationParameters()


def test_an_empty_rectangle_is_none() -> None:
    assert erase_rectangle(AugmentationParameters().values_of(Erase), 10, 10) is None
    assert (
        erase_rectangle(AugmentationParameters(erase_height=0.01, erase_width=0.5).values_of(Erase), 10, 10)
        is None
    )


def test_the_rectangle_lies_inside_the_image() -> None:
    epoch = epoch_parameters("aggressive", 1, 0, 4000)
    assert (epoch.column("erase_top") + epoch.column("erase_height") <= 1 + 1e-12).all()
    assert (epoch.column("erase_left") + epoch.column("erase_width") <= 1 + 1e-12).all()
