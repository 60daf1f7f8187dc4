"""ConditionalNormalize goes by the declared range, never by values."""

from __future__ import annotations

from typing import Any

import albumentations as A  # noqa: N812 - its customary name
import numpy as np
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


@pytest.mark.parametrize("kind", [list, tuple, np.array, torch.tensor])
def test_statistics_may_be_any_sequence(kind: Any) -> None:
    expected = ConditionalNormalize(IMAGENET.mean, IMAGENET.std, "unit")
    transform = ConditionalNormalize(kind(IMAGENET.mean), kind(IMAGENET.std), "unit")
    for images in (BYTES, BYTES.float() / 255):
        assert torch.allclose(transform(images), expected(images), atol=1e-6)
    assert isinstance(transform.mean, tuple)
    hash(transform)  # also as a key


HWC = BYTES[0].permute(1, 2, 0).contiguous().numpy()


@pytest.mark.parametrize(
    ("floats", "image"),
    [
        (None, HWC),
        (None, HWC[::-1, ::2]),
        ("unit", HWC.astype(np.float64) / 255),
        ("bytes", HWC.astype(np.float32)),
    ],
)
def test_numpy_images_have_their_channels_last_and_stay_so(floats: FloatRange | None, image: Any) -> None:
    normalized = ConditionalNormalize(IMAGENET.mean, IMAGENET.std, floats)(image)
    divisor = 1 if floats == "unit" else 255
    expected = (image.astype(np.float64) / divisor - np.array(IMAGENET.mean)) / np.array(IMAGENET.std)
    assert isinstance(normalized, np.ndarray)
    assert (normalized.dtype, normalized.shape) == (np.float32, image.shape)
    np.testing.assert_allclose(normalized, expected, atol=1e-6)


def test_numpy_batches_and_normalized_images_are_accepted() -> None:
    transform = ConditionalNormalize(IMAGENET.mean, IMAGENET.std, "normalized")
    batch = np.stack([HWC, HWC])
    assert transform(batch).shape == batch.shape
    once = transform(batch)
    assert transform(once) is once


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (HWC.transpose(2, 0, 1), r"shape \(3, 16, 16\).*channels last"),
        (HWC[..., 0], "shape"),
        (HWC.astype(np.int64), "int64 input"),
        (HWC.astype(np.float32), "range was not declared"),
        ("image.jpg", "str, expected a tensor or a NumPy image"),
    ],
)
def test_other_numpy_images_are_refused(image: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        ConditionalNormalize(IMAGENET.mean, IMAGENET.std)(image)


def test_numpy_images_cannot_become_bfloat16() -> None:
    with pytest.raises(TypeError, match=r"bfloat16.*expected torch\.float32 or torch\.float16"):
        ConditionalNormalize(IMAGENET.mean, IMAGENET.std, dtype=torch.bfloat16)(HWC)


def test_it_works_inside_a_compose_of_albumentations() -> None:
    transform = ConditionalNormalize(list(IMAGENET.mean), list(IMAGENET.std))
    mask = np.arange(256, dtype=np.uint8).reshape(16, 16)
    ours = A.Compose([A.HorizontalFlip(p=1), transform], bbox_params=A.BboxParams("pascal_voc"))
    theirs = A.Compose([A.HorizontalFlip(p=1), A.Normalize(IMAGENET.mean, IMAGENET.std)])
    out = ours(image=HWC, mask=mask, bboxes=np.array([[1, 2, 5, 6]]))
    np.testing.assert_allclose(out["image"], theirs(image=HWC)["image"], atol=1e-5)
    assert np.array_equal(out["mask"], mask[:, ::-1])  # only images are normalized
    assert np.allclose(out["bboxes"], [[11, 2, 15, 6]])
    images = ours(images=np.stack([HWC, HWC]), bboxes=np.zeros((0, 4)))["images"]
    np.testing.assert_allclose(images[1], out["image"])


def test_it_works_in_nested_groups_of_albumentations() -> None:
    transform = ConditionalNormalize(IMAGENET.mean, IMAGENET.std)
    expected = transform(HWC)
    for group in (A.OneOf([transform], p=1), A.Sequential([transform], p=1), A.SomeOf([transform], n=1, p=1)):
        np.testing.assert_array_equal(A.Compose([group])(image=HWC)["image"], expected)
