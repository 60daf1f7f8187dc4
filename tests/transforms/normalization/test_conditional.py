"""ConditionalNormalize goes by the declared range, never by values."""

from __future__ import annotations

import pytest
import torch

from perfsuite.transforms.normalization.channel_stats import IMAGENET, NAMED_STATISTICS
from perfsuite.transforms.normalization.conditional import ConditionalNormalize, FloatRange
from perfsuite.transforms.normalization.implementations.reference import reference
from tests.transforms.normalization.error_bound import worst_error_ratio

BYTES = torch.arange(256, dtype=torch.uint8).repeat(3).view(1, 3, 16, 16)


def guessing(images: torch.Tensor) -> torch.Tensor:
    """A version that looks at values: it takes a float image in 0..1 for a normalized one."""
    if images.is_floating_point() and images.max() < 10:
        return images
    mean, std = (torch.tensor(s).view(-1, 1, 1) for s in (IMAGENET.mean, IMAGENET.std))
    return (images.float() / 255 - mean) / std


@pytest.mark.parametrize("name", NAMED_STATISTICS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    ("floats", "images"),
    [(None, BYTES), ("unit", BYTES.double() / 255), ("bytes", BYTES.float()), ("bytes", BYTES.half())],
)
def test_every_declared_range_gives_the_same_result(
    floats: FloatRange | None, images: torch.Tensor, dtype: torch.dtype, name: str
) -> None:
    statistics = NAMED_STATISTICS[name]
    normalized = ConditionalNormalize(statistics.mean, statistics.std, floats, dtype)(images)
    assert normalized.dtype == dtype
    assert worst_error_ratio(normalized, BYTES, statistics) <= 1


def test_normalized_images_are_returned_unchanged() -> None:
    images = reference(BYTES, IMAGENET).float()
    assert ConditionalNormalize(IMAGENET.mean, IMAGENET.std, "normalized")(images) is images


def test_normalizing_twice_changes_nothing_where_the_range_is_declared() -> None:
    once = ConditionalNormalize(IMAGENET.mean, IMAGENET.std)(BYTES)
    twice = ConditionalNormalize(IMAGENET.mean, IMAGENET.std, "normalized")(once)
    assert torch.equal(once, twice)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_floats_of_an_undeclared_range_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match="range was not declared; give floats='unit'"):
        ConditionalNormalize(IMAGENET.mean, IMAGENET.std)(torch.zeros(1, 3, 2, 2, dtype=dtype))


def test_guessing_from_values_breaks_the_bound() -> None:
    """The negative control: guessing is outside the bound where the declared range is within."""
    images = BYTES.float() / 255
    assert worst_error_ratio(guessing(images), BYTES, IMAGENET) > 1
    assert (
        worst_error_ratio(ConditionalNormalize(IMAGENET.mean, IMAGENET.std, "unit")(images), BYTES, IMAGENET)
        <= 1
    )


def test_an_unknown_range_is_refused() -> None:
    with pytest.raises(ValueError, match="floats='maybe'"):
        ConditionalNormalize((0.5,), (0.5,), "maybe")  # type: ignore[arg-type]


def test_integers_and_wrong_channels_are_refused() -> None:
    with pytest.raises(TypeError, match="expected"):
        ConditionalNormalize((0.5,), (0.5,), "unit")(torch.zeros(1, 1, 2, 2, dtype=torch.int32))
    with pytest.raises(ValueError, match="expected \\(N,\\) 1, height, width"):
        ConditionalNormalize((0.5,), (0.5,), "unit")(torch.zeros(1, 3, 2, 2))


def test_bad_statistics_are_refused_at_construction() -> None:
    with pytest.raises(ValueError, match=r"are the statistics in 0\.\.255"):
        ConditionalNormalize((121.0,), (0.5,))
