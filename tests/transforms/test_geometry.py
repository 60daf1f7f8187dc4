"""One map for all geometry: checked at points whose way can be followed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from perfsuite.errors import DataError
from perfsuite.transforms.augment.modes import Draw, draw
from perfsuite.transforms.geometry import (
    affine_matrix,
    erase_rectangle,
    inverse_coefficients,
    invert_affine,
    is_pixel_permutation,
    output_size,
)

# Where the top left corner, the center and (3, 1) of an image 20 wide and 10 high go.
BY_HAND = [
    (Draw(), [(0, 0), (10, 5), (3, 1)]),
    (Draw(mirror=True), [(20, 0), (10, 5), (17, 1)]),
    (Draw(quarter_turns=1), [(0, 20), (5, 10), (1, 17)]),
    (Draw(quarter_turns=2), [(20, 10), (10, 5), (17, 9)]),
    (Draw(quarter_turns=3), [(10, 0), (5, 10), (9, 3)]),
    (Draw(quarter_turns=1, mirror=True), [(10, 20), (5, 10), (9, 17)]),
    (Draw(degrees=90.0), [(5, 15), (10, 5), (6, 12)]),
    (Draw(zoom=2.0), [(-10, -5), (10, 5), (-4, -3)]),
    (Draw(shift_x=0.1, shift_y=-0.2), [(2, -2), (12, 3), (5, -1)]),
    (Draw(mirror=True, shift_x=0.1), [(22, 0), (12, 5), (19, 1)]),
]


@pytest.mark.parametrize(("drawn", "expected"), BY_HAND)
def test_points_go_where_they_should(drawn: Draw, expected: list[tuple[float, float]]) -> None:
    forward = affine_matrix(drawn, height=10, width=20)
    for (x, y), there in zip([(0, 0), (10, 5), (3, 1)], expected, strict=True):
        assert (forward @ [x, y, 1])[:2] == pytest.approx(there, abs=1e-9)


@pytest.mark.parametrize("index", range(20))
def test_the_way_back_is_the_inverse(index: int) -> None:
    drawn = draw("aggressive", 3, 0, index)
    assert np.array(inverse_coefficients(drawn, 23, 37)) == pytest.approx(
        invert_affine(affine_matrix(drawn, 23, 37))[:2], abs=1e-9
    )


@pytest.mark.parametrize(("drawn", "_expected"), BY_HAND)
def test_the_way_back_is_the_inverse_of_turns_too(drawn: Draw, _expected: object) -> None:
    assert np.array(inverse_coefficients(drawn, 10, 20)) == pytest.approx(
        invert_affine(affine_matrix(drawn, 10, 20))[:2], abs=1e-9
    )


def test_sides_are_exchanged_by_odd_turns_only() -> None:
    assert [output_size(Draw(quarter_turns=n), 10, 20) for n in range(4)] == [(10, 20), (20, 10)] * 2


def test_a_map_that_cannot_be_undone_is_refused() -> None:
    with pytest.raises(DataError, match="can be undone"):
        invert_affine(np.zeros((3, 3)))


@pytest.mark.parametrize("moved", [Draw(degrees=1.0), Draw(zoom=1.1), Draw(shift_x=0.1), Draw(shift_y=0.1)])
def test_sampling_is_needed_where_pixels_fall_between(moved: Draw) -> None:
    assert not is_pixel_permutation(moved)


def test_nothing_is_erased_unless_drawn() -> None:
    assert erase_rectangle(Draw(), 10, 10) is None
    assert erase_rectangle(Draw(erase_height=0.01, erase_width=0.5), 10, 10) is None
