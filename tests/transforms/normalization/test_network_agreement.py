"""A fixed small network gives the same logits for 64 fixed images, whichever implementation normalizes them.

A wrong constant in one implementation once cost three points of accuracy while every image looked expected.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from perfsuite.transforms import normalize
from perfsuite.transforms.normalization.channel_stats import IMAGENET, ChannelStatistics
from perfsuite.transforms.normalization.registry import IMPLEMENTATIONS
from tests.transforms.normalization.error_bound import exact_normalize

GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
PATHS = [(name, "cpu") for name in (None, "torch", "numba", "numpy", "opencv", "albumentations")] + [
    pytest.param(name, "cuda", marks=GPU) for name in (None, "torch", "triton", "compiled")
]
# About twice the largest difference on the CPU: 2e-7, 6e-4, 5e-3, of logits within -4.2..4.2.
ALLOWED = {torch.float32: 5e-7, torch.float16: 1.2e-3, torch.bfloat16: 1e-2}


def random_images() -> torch.Tensor:
    """64 different smooth images with noise."""
    generator = torch.Generator().manual_seed(7)
    coarse = torch.rand(64, 3, 5, 6, generator=generator)
    smooth = nn.functional.interpolate(coarse, (29, 37), mode="bicubic").mul(255)
    return (smooth + torch.randn(smooth.shape, generator=generator) * 4).clamp(0, 255).to(torch.uint8)


def network() -> nn.Module:
    torch.manual_seed(11)
    convolutions = nn.Conv2d(3, 16, 5, stride=2), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2), nn.ReLU()
    classifier = nn.Linear(32 * 6 * 8, 10)
    with torch.no_grad():
        classifier.weight.mul_(8)
    return nn.Sequential(*convolutions, nn.Flatten(), classifier).eval()


def logits(normalized: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        result: torch.Tensor = network().double()(normalized.cpu().double())
    return result


@pytest.mark.parametrize("dtype", ALLOWED)
@pytest.mark.parametrize(("path", "device"), PATHS)
def test_every_implementation_gives_the_same_logits(
    path: str | None, device: str, dtype: torch.dtype
) -> None:
    if path is not None and not IMPLEMENTATIONS[path].is_available:
        pytest.skip(f"{path} is not installed")
    images = random_images()
    expected = logits(exact_normalize(images, IMAGENET))
    normalized = normalize(
        images.to(device), mean=IMAGENET.mean, std=IMAGENET.std, dtype=dtype, implementation=path
    )
    actual = logits(normalized)
    assert (actual - expected).abs().max() < ALLOWED[dtype]
    assert torch.equal(actual.argmax(1), expected.argmax(1))


@pytest.mark.parametrize(
    "wrong",
    [
        ChannelStatistics(IMAGENET.mean[::-1], IMAGENET.std[::-1]),
        ChannelStatistics(IMAGENET.std, IMAGENET.mean),
        ChannelStatistics((0.485,) * 3, (0.229,) * 3),
    ],
    ids=["reversed", "swapped", "one for all"],
)
def test_wrong_statistics_change_the_logits(wrong: ChannelStatistics) -> None:
    images = random_images()
    expected, actual = logits(exact_normalize(images, IMAGENET)), logits(exact_normalize(images, wrong))
    assert (actual - expected).abs().max() > max(ALLOWED.values())


def test_the_network_distinguishes_the_images() -> None:
    assert len(set(logits(exact_normalize(random_images(), IMAGENET)).argmax(1).tolist())) >= 4
