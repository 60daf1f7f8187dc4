"""Normalization: compared with memory bandwidth and with other libraries.

Both sides read the same bytes and write the same layout into outputs allocated the same way, unless stated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.gpu_proof.device import GpuDevice
from perfsuite.pytest_plugin.fixture import Perf
from perfsuite.transforms import normalize
from perfsuite.transforms.arrays import ImageArray
from perfsuite.transforms.normalization.channel_stats import IMAGENET
from perfsuite.transforms.normalization.conditional import ConditionalNormalize
from perfsuite.transforms.normalization.implementations.albumentations_ import albumentations_normalize
from perfsuite.transforms.normalization.registry import IMPLEMENTATIONS

STATISTICS: dict[str, Any] = {"mean": IMAGENET.mean, "std": IMAGENET.std}


@pytest.fixture
def image() -> ImageArray:
    """A 1280 x 720 image as decoders give it: height, width, channel."""
    return np.random.default_rng(42).integers(0, 256, (720, 1280, 3), dtype=np.uint8)


@pytest.mark.floor(speedup=1.5)
@pytest.mark.aim(speedup=4.0)  # what was measured: docs/results/transforms.md
def test_one_image_against_albumentations(
    perf: Perf, image: ImageArray, one_core: None, retain_freed_memory: None
) -> None:
    pytest.importorskip("albumentations", reason="albumentations is not installed")
    albumentations = albumentations_normalize(IMAGENET)
    images = torch.from_numpy(image)[None]
    perf.race(
        ours=lambda: normalize(images, **STATISTICS, layout="NHWC"),
        albumentations=lambda: albumentations(image=image),
        items=1,
    )


@pytest.mark.floor(speedup=1.0)
@pytest.mark.aim(speedup=1.5)
def test_one_image_into_planes_against_torchvision(
    perf: Perf, image: ImageArray, one_core: None, retain_freed_memory: None
) -> None:
    """From HWC to planes, the layout of a network without channels_last."""
    from torchvision.transforms.v2 import functional as tv

    images = torch.from_numpy(image)[None]

    def torchvision() -> object:
        planes = images.permute(0, 3, 1, 2).contiguous()
        return tv.normalize(tv.to_dtype(planes, torch.float32, scale=True), *STATISTICS.values())

    perf.race(
        ours=lambda: normalize(images, **STATISTICS, layout="NHWC", memory_format=torch.contiguous_format),
        torchvision=torchvision,
        items=1,
    )


@pytest.mark.floor(speedup=0.8)
@pytest.mark.aim(speedup=1.0)
def test_the_chosen_implementation_is_the_fastest(perf: Perf, image: ImageArray, one_core: None) -> None:
    if not IMPLEMENTATIONS["numba"].is_available:
        pytest.skip("numba is not installed")
    images = torch.from_numpy(image)[None]
    out = torch.empty(1, 720, 1280, 3).permute(0, 3, 1, 2)

    def normalize_with(name: str) -> Callable[[], object]:
        return lambda: normalize(images, **STATISTICS, layout="NHWC", out=out, implementation=name)

    perf.race(
        numba=normalize_with("numba"),
        torch=normalize_with("torch"),
        opencv=normalize_with("opencv"),
        numpy=normalize_with("numpy"),
        items=1,
    )


# Where the cache holds the batch, filling is not bound by memory: 1.5 to 2.3 there. Conversion by torch alone
# is 1.4 to 2.0.
@pytest.mark.ceiling(overhead=4.0)
@pytest.mark.aim(overhead=0.5)
@pytest.mark.parametrize(
    "memory_format", [torch.contiguous_format, torch.channels_last], ids=["NCHW", "NHWC"]
)
@pytest.mark.parametrize("batch", [32, 128])
def test_batch_against_filling_the_output(
    perf: Perf, image_batch: torch.Tensor, batch: int, memory_format: torch.memory_format, one_core: None
) -> None:
    images = image_batch.repeat(batch // 32, 1, 1, 1).contiguous(memory_format=memory_format)
    out = torch.empty_like(images, dtype=torch.float32)
    perf.pair(
        filling=lambda: out.fill_(1.0),
        normalizing=lambda: normalize(images, **STATISTICS, out=out),
        items=batch,
    )


@pytest.mark.ceiling(overhead=0.30)
@pytest.mark.aim(overhead=0.10)
def test_conditional_normalize_overhead(perf: Perf, image_batch: torch.Tensor, one_core: None) -> None:
    """The cost of the decision on small byte images, where its share is largest.

    Some calls on larger images map new memory for their output, and that would dominate the result.
    """
    small = [one[None, :, :32, :32].contiguous() for one in image_batch]
    conditional = ConditionalNormalize(**STATISTICS)
    perf.pair(
        always=lambda: [normalize(one, **STATISTICS) for one in small],
        conditional=lambda: [conditional(one) for one in small],
        items=32,
    )


@pytest.mark.floor(speedup=1.5)
def test_normalized_batches_pass_through(perf: Perf, image_batch: torch.Tensor, one_core: None) -> None:
    """A batch that is already normalized, against normalizing its bytes."""
    normalized = normalize(image_batch, **STATISTICS)
    conditional = ConditionalNormalize(**STATISTICS, floats="normalized")
    assert conditional(normalized) is normalized
    perf.race(
        passed_through=lambda: conditional(normalized),
        normalized_again=lambda: conditional(image_batch),
        items=32,
    )


@pytest.mark.floor(speedup=0.7)
@pytest.mark.aim(speedup=1.0)
def test_bfloat16_is_not_slower_than_float32(perf: Perf, image_batch: torch.Tensor, one_core: None) -> None:
    """Both write into an existing output."""
    wide, narrow = (torch.empty_like(image_batch, dtype=dtype) for dtype in (torch.float32, torch.bfloat16))
    perf.race(
        bfloat16=lambda: normalize(image_batch, **STATISTICS, out=narrow),
        float32=lambda: normalize(image_batch, **STATISTICS, out=wide),
        items=32,
    )


@pytest.fixture
def gpu_images(gpu: GpuDevice) -> torch.Tensor:
    """256 images at 224 pixels, larger than any cache."""
    side = gpu.choose(224, rehearsal=32)
    shape = (gpu.choose(256, rehearsal=2), 3, side, side)
    return torch.randint(0, 256, shape, dtype=torch.uint8, device=gpu.name)


@pytest.mark.gpu
@pytest.mark.ceiling(overhead=0.25)  # 80 % of the bandwidth of a copy
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_gpu_against_copying_as_many_bytes(
    perf: Perf, gpu: GpuDevice, gpu_images: torch.Tensor, dtype: torch.dtype
) -> None:
    out = torch.empty_like(gpu_images, dtype=dtype)
    half_of_traffic = gpu_images.numel() * (1 + dtype.itemsize) // 2
    source, target = (torch.empty(half_of_traffic, dtype=torch.uint8, device=gpu.name) for _ in range(2))
    perf.pair(
        copying=lambda: target.copy_(source),
        normalizing=lambda: normalize(gpu_images, **STATISTICS, out=out),
        items=len(gpu_images),
        device=gpu.name,
    )


@pytest.mark.gpu
@pytest.mark.floor(speedup=3.0)
def test_gpu_against_prefetcher_arithmetic(perf: Perf, gpu: GpuDevice, gpu_images: torch.Tensor) -> None:
    """The arithmetic of timm's prefetcher, in bfloat16."""
    mean = torch.tensor(IMAGENET.mean, device=gpu.name).mul(255).bfloat16().view(1, 3, 1, 1)
    std = torch.tensor(IMAGENET.std, device=gpu.name).mul(255).bfloat16().view(1, 3, 1, 1)
    perf.race(
        ours=lambda: normalize(gpu_images, **STATISTICS, dtype=torch.bfloat16),
        prefetcher=lambda: gpu_images.to(torch.bfloat16).sub_(mean).div_(std),
        items=len(gpu_images),
        device=gpu.name,
    )


@pytest.mark.gpu
@pytest.mark.floor(speedup=5.0)
def test_gpu_against_torchvision(perf: Perf, gpu: GpuDevice, gpu_images: torch.Tensor) -> None:
    from torchvision.transforms.v2 import functional as tv

    perf.race(
        ours=lambda: normalize(gpu_images, **STATISTICS),
        torchvision=lambda: tv.normalize(
            tv.to_dtype(gpu_images, torch.float32, scale=True), *STATISTICS.values()
        ),
        items=len(gpu_images),
        device=gpu.name,
    )


@pytest.mark.gpu
@pytest.mark.ceiling(host_syncs=0)
def test_gpu_has_no_host_synchronization(perf: Perf, gpu: GpuDevice, gpu_images: torch.Tensor) -> None:
    perf(lambda: normalize(gpu_images, **STATISTICS), items=len(gpu_images), unit="images", device=gpu.name)
