"""The error bound of normalizing is tight: every known mistake is outside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from perfsuite.transforms import normalize
from perfsuite.transforms.normalization.channel_stats import NAMED_STATISTICS, ChannelStatistics
from perfsuite.transforms.normalization.eager import OUTPUT_DTYPES
from perfsuite.transforms.normalization.implementations.reference import reference
from tests.transforms.normalization.error_bound import error_bound, exact_normalize, worst_error_ratio

STATISTICS = {
    "imagenet": NAMED_STATISTICS["imagenet"],
    "one": ChannelStatistics((0.1307,), (0.3081,)),
    "four": ChannelStatistics((0.485, 0.456, 0.406, 0.2), (0.229, 0.224, 0.225, 0.3)),
    "thirteen": ChannelStatistics(
        tuple(0.1 + 0.05 * c for c in range(13)), tuple(0.2 + 0.03 * c for c in range(13))
    ),
}


def all_bytes(channels: int) -> torch.Tensor:
    return torch.arange(256, dtype=torch.uint8).repeat(channels).view(1, channels, 8, 32)


def random_images(n: int, c: int, h: int, w: int) -> torch.Tensor:
    return torch.randint(0, 256, (n, c, h, w), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def run(images: torch.Tensor, statistics: ChannelStatistics) -> torch.Tensor:
    return normalize(images, mean=statistics.mean, std=statistics.std)


def low_precision(images: torch.Tensor, statistics: ChannelStatistics, dtype: torch.dtype) -> torch.Tensor:
    """As device prefetchers do: the statistics rounded to the output's type."""
    mean = torch.tensor(statistics.mean).mul(255).to(dtype).view(-1, 1, 1)
    std = torch.tensor(statistics.std).mul(255).to(dtype).view(-1, 1, 1)
    return images.to(dtype).sub_(mean).div_(std)


def low_precision_in_unit(
    images: torch.Tensor, statistics: ChannelStatistics, dtype: torch.dtype
) -> torch.Tensor:
    mean, std = (torch.tensor(s).to(dtype).view(-1, 1, 1) for s in (statistics.mean, statistics.std))
    return ((images.to(dtype) / 255) - mean) / std


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("wrong", [low_precision, low_precision_in_unit])
@pytest.mark.parametrize("name", ["imagenet", "cifar10", "clip"])  # a half is exact in any precision
def test_arithmetic_in_low_precision_is_detected(
    wrong: Callable[[torch.Tensor, ChannelStatistics, torch.dtype], torch.Tensor],
    dtype: torch.dtype,
    name: str,
) -> None:
    images = all_bytes(3)
    assert worst_error_ratio(wrong(images, NAMED_STATISTICS[name], dtype), images, NAMED_STATISTICS[name]) > 1


def mutants(images: torch.Tensor, statistics: ChannelStatistics) -> Iterator[tuple[str, torch.Tensor]]:
    x = images.double()
    mean, std = (
        torch.tensor(s, dtype=torch.float64).view(-1, 1, 1) for s in (statistics.mean, statistics.std)
    )
    yield "mean and std swapped", (x / 255 - std) / mean
    yield "channels of the statistics reversed", (x / 255 - mean.flip(0)) / std.flip(0)
    yield "channels of the image reversed", ((x / 255).flip(1) - mean) / std
    yield "one channel off", (x / 255 - mean.roll(1, 0)) / std.roll(1, 0)
    yield "division by 255 missing", (x - mean) / std
    yield "division by 255 twice", (x / 255 / 255 - mean) / std
    yield "division by 256", (x / 256 - mean) / std
    yield "std squared", (x / 255 - mean) / std**2
    yield "mean added", (x / 255 + mean) / std
    yield "signed bytes", (images.view(torch.int8).double() / 255 - mean) / std
    n, c, h, w = images.shape
    last = images.permute(0, 2, 3, 1).contiguous()
    yield "HWC read as CHW", (last.view(n, c, h, w).double() / 255 - mean) / std
    yield (
        "height and width exchanged",
        ((images.transpose(2, 3).reshape(n, c, h, w).double() / 255 - mean) / std),
    )


@pytest.mark.parametrize("name", ["imagenet", "four", "thirteen"])
def test_every_mutant_is_detected(name: str) -> None:
    """Negative controls: each of these mistakes is outside the bound, for every output type."""
    statistics = STATISTICS[name]
    images = random_images(2, statistics.channels, 13, 17)
    survivors = [
        (mutant, dtype)
        for dtype in OUTPUT_DTYPES
        for mutant, answer in mutants(images, statistics)
        if worst_error_ratio(answer.to(dtype), images, statistics) <= 1
    ]
    assert survivors == []


@pytest.mark.parametrize("mutant", ["std squared", "division by 255 missing", "mean added"])
def test_mutants_of_one_channel_are_detected(mutant: str) -> None:
    images = random_images(1, 1, 13, 17)
    statistics = STATISTICS["one"]
    assert worst_error_ratio(dict(mutants(images, statistics))[mutant].float(), images, statistics) > 1


def test_a_single_wrong_element_is_detected() -> None:
    images = random_images(2, 3, 13, 17)
    answer = run(images, NAMED_STATISTICS["imagenet"])
    answer[1, 2, 12, 16] += 1e-5
    assert worst_error_ratio(answer, images, NAMED_STATISTICS["imagenet"]) > 1


def test_an_element_that_is_never_written_is_detected() -> None:
    images = random_images(2, 3, 13, 17)
    answer = run(images, NAMED_STATISTICS["imagenet"])
    answer[0, 1, 5, 5] = float("nan")
    assert worst_error_ratio(answer, images, NAMED_STATISTICS["imagenet"]) > 1


def test_the_bound_is_tight() -> None:
    images = all_bytes(3)
    assert error_bound(images, NAMED_STATISTICS["imagenet"], torch.float32).max() < 1.7e-6
    assert error_bound(images, NAMED_STATISTICS["imagenet"], torch.bfloat16).max() < 7.9e-3
    assert error_bound(images, NAMED_STATISTICS["imagenet"], torch.float16).max() < 9.9e-4


def test_the_reference_and_the_oracle_are_the_definition() -> None:
    images = all_bytes(3)
    x = images[0, :, 3, 5].numpy()
    expected = (x / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    for normalized in (reference, exact_normalize):
        result = normalized(images, NAMED_STATISTICS["imagenet"])[0, :, 3, 5].numpy()
        assert result == pytest.approx(expected, abs=1e-15)
