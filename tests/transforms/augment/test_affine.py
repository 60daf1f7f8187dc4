"""The affine map of a draw, checked at points that can be followed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from perfsuite.transforms.augment.affine import AffineParameters
from perfsuite.transforms.augment.parameters import AugmentationParameters, BatchParameters, draw_parameters
from perfsuite.transforms.geometry import invert_affine

# Where the top left corner, the center and (3, 1) of an image 20 wide and 10 high go.
BY_HAND = [
    (AugmentationParameters(), [(0, 0), (10, 5), (3, 1)]),
    (AugmentationParameters(mirror=True), [(20, 0), (10, 5), (17, 1)]),
    (AugmentationParameters(quarter_turns=1), [(0, 20), (5, 10), (1, 17)]),
    (AugmentationParameters(quarter_turns=2), [(20, 10), (10, 5), (17, 9)]),
    (AugmentationParameters(quarter_turns=3), [(10, 0), (5, 10), (9, 3)]),
    (AugmentationParameters(quarter_turns=1, mirror=True), [(10, 20), (5, 10), (9, 17)]),
    (AugmentationParameters(degrees=90.0), [(5, 15), (10, 5), (6, 12)]),
    (AugmentationParameters(zoom=2.0), [(-10, -5), (10, 5), (-4, -3)]),
    (AugmentationParameters(shift_x=0.1, shift_y=-0.2), [(2, -2), (12, 3), (5, -1)]),
    (AugmentationParameters(mirror=True, shift_x=0.1), [(22, 0), (12, 5), (19, 1)]),
]


@pytest.mark.parametrize(("parameters", "expected"), BY_HAND)
def test_points_move_to_their_expected_places(
    parameters: AugmentationParameters, expected: list[tuple[float, float]]
) -> None:
    forward = parameters.affine.affine_matrix(height=10, width=20)
    for (x, y), moved in zip([(0, 0), (10, 5), (3, 1)], expected, strict=True):
        assert (forward @ [x, y, 1])[:2] == pytest.approx(moved, abs=1e-9)


@pytest.mark.parametrize("index", range(20))
def test_the_inverse_coefficients_are_the_inverse_of_drawn_maps(index: int) -> None:
    parameters = draw_parameters("aggressive", 3, 0, index)
    assert np.array(parameters.affine.inverse_coefficients(23, 37)) == pytest.approx(
        invert_affine(parameters.affine.affine_matrix(23, 37))[:2], abs=1e-9
    )


@pytest.mark.parametrize(("parameters", "_expected"), BY_HAND)
def test_the_inverse_coefficients_are_the_inverse_of_simple_maps(
    parameters: AugmentationParameters, _expected: object
) -> None:
    assert np.array(parameters.affine.inverse_coefficients(10, 20)) == pytest.approx(
        invert_affine(parameters.affine.affine_matrix(10, 20))[:2], abs=1e-9
    )


def test_only_odd_quarter_turns_exchange_the_sides() -> None:
    assert [AugmentationParameters(quarter_turns=n).affine.output_size(10, 20) for n in range(4)] == [
        (10, 20),
        (20, 10),
    ] * 2


@pytest.mark.parametrize(
    "moved",
    [
        AugmentationParameters(degrees=1.0),
        AugmentationParameters(zoom=1.1),
        AugmentationParameters(shift_x=0.1),
        AugmentationParameters(shift_y=0.1),
    ],
)
def test_a_map_that_moves_pixels_between_pixels_needs_sampling(moved: AugmentationParameters) -> None:
    assert not moved.affine.is_pixel_permutation


SHEAR = (1.0, 0.3, 0.0, 1.0)


def test_a_linear_map_is_applied_before_the_rotation() -> None:
    affine = AffineParameters(degrees=90.0, linear=SHEAR)
    # (3, 1) is (-7, -4) from the center; sheared (-8.2, -4); turned (-4, 8.2).
    assert (affine.affine_matrix(10, 20) @ [3, 1, 1])[:2] == pytest.approx((6, 13.2))
    assert not AffineParameters(linear=SHEAR).is_pixel_permutation


def test_a_linear_map_has_the_same_inverse_in_both_forms() -> None:
    affine = AffineParameters(degrees=12.0, zoom=1.2, shift_x=0.1, linear=SHEAR)
    inverse = invert_affine(affine.affine_matrix(23, 37))[:2]
    assert np.array(affine.inverse_coefficients(23, 37)) == pytest.approx(inverse, abs=1e-9)
    batch = BatchParameters.of([AugmentationParameters(degrees=12.0, zoom=1.2, shift_x=0.1)]).affine
    xx, xy, yx, yy = (np.array([value]) for value in SHEAR)
    batch.linear = xx, xy, yx, yy
    assert batch.inverse_coefficients_batch(23, 37)[0] == pytest.approx(inverse, abs=1e-9)
