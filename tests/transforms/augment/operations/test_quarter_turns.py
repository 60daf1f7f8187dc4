"""Quarter turns move pixels as numpy.rot90 does."""

from __future__ import annotations

import numpy as np
import pytest

from perfsuite.transforms.augment.cpu import augment_image
from perfsuite.transforms.augment.modes import AugmentationMode
from perfsuite.transforms.augment.operations.quarter_turns import QuarterTurns
from perfsuite.transforms.augment.parameters import AugmentationParameters, epoch_parameters
from tests.transforms.augment.oracle import oracle_augment

IMAGE = np.random.default_rng(0).integers(0, 256, (21, 34, 3), dtype=np.uint8)


@pytest.mark.parametrize("turns", range(-2, 6))
def test_quarter_turns_are_rot90(turns: int) -> None:
    assert np.array_equal(
        augment_image(AugmentationParameters(quarter_turns=turns), IMAGE), np.rot90(IMAGE, turns)
    )


def test_an_odd_quarter_turn_exchanges_the_sides() -> None:
    turned = augment_image(AugmentationParameters(quarter_turns=1), IMAGE)
    assert turned.shape == (34, 21, 3)
    assert np.array_equal(turned, oracle_augment(AugmentationParameters(quarter_turns=1), IMAGE))


def test_all_four_turns_are_drawn() -> None:
    turns = epoch_parameters(AugmentationMode("turns", (QuarterTurns(),)), 1, 0, 400).column("quarter_turns")
    assert [int((turns == n).sum()) > 70 for n in range(4)] == [True] * 4
