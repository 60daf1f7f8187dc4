"""The modes: how many operations each has, and which modes are refused."""

from __future__ import annotations

import pytest

from perfsuite.transforms.augment.modes import MODES, AugmentationMode, get_mode
from perfsuite.transforms.augment.operations.mirror import Mirror


@pytest.mark.parametrize(("mode", "operations"), [("conservative", 3), ("moderate", 6), ("aggressive", 8)])
def test_a_mode_has_its_number_of_operations(mode: str, operations: int) -> None:
    assert len(MODES[mode].operations) == operations


def test_an_unknown_mode_is_refused_with_the_known_names() -> None:
    with pytest.raises(ValueError, match="'wild', expected one of none, conservative"):
        get_mode("wild")


def test_a_mode_has_each_operation_at_most_once() -> None:
    with pytest.raises(ValueError, match="at most once"):
        AugmentationMode("twice", (Mirror(), Mirror(0.1)))
