"""The two definitions of overhead, with figures from reports that use one or the other."""

from __future__ import annotations

import pytest

from perfsuite.judge.metrics import estimate_overhead, estimate_overhead_share

BLOCKS = 8


@pytest.mark.parametrize(
    ("plain", "whole", "share", "over_plain"),
    [
        (35.2 - 11.5, 35.2, 0.327, 0.486),  # ms a batch: 11.5 ms of augmentation are 32.7 % of the batch
        (1 / 1096, 1 / 846.8, 0.227, 0.294),  # seconds an image at 1,096 and at 846.8 images a second
        (1.0, 1.0, 0.0, 0.0),
        (2.0, 1.0, -1.0, -0.5),  # faster than plain
    ],
)
def test_both_definitions_agree_with_the_reports(
    plain: float, whole: float, share: float, over_plain: float
) -> None:
    ratios = [whole / plain] * BLOCKS
    assert estimate_overhead_share(ratios, 0.99).value == pytest.approx(share, abs=0.0015)
    assert estimate_overhead(ratios, 0.99).value == pytest.approx(over_plain, abs=0.0015)
    assert share == pytest.approx(over_plain / (1 + over_plain), abs=0.001)


def test_the_intervals_of_both_hold_the_same_ratios() -> None:
    ratios = [1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9]
    over_plain, share = estimate_overhead(ratios, 0.99), estimate_overhead_share(ratios, 0.99)
    assert (over_plain.interval.low, over_plain.interval.high) == pytest.approx((0.2, 0.9))
    assert (share.interval.low, share.interval.high) == pytest.approx((1 - 1 / 1.2, 1 - 1 / 1.9))
