"""Affine maps: the identity is recognized, and a map without an inverse is refused."""

from __future__ import annotations

import numpy as np
import pytest

from perfsuite.errors import DataError
from perfsuite.transforms.geometry import invert_affine, is_identity


def test_a_map_without_an_inverse_is_refused() -> None:
    with pytest.raises(DataError, match="can be inverted"):
        invert_affine(np.zeros((3, 3)))


def test_only_the_identity_is_the_identity() -> None:
    assert is_identity(np.eye(3))
    assert not is_identity(np.diag([-1.0, 1.0, 1.0]))
