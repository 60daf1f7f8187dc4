"""Normalizing: how near to the speed of memory, and how far ahead of what others do.

Every comparison is on the same bytes, into the same layout, with outputs allocated alike, or says otherwise.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from perfsuite.transforms import normalize
from perfsuite.transforms.normalization.channel_stats import IMAGENET
from perfsuite.transforms.normalization.conditional import ConditionalNormalize
from perfsuite.transforms.normalization.implementations.albumentations_ import albumentations_normalize
from perfsuite.transforms.normalization.registry import IMPLEMENTATIONS

STATISTICS = {"mean": IMAGENET.mean, "std": IMAGENET.std}


@pytest.fixture
def image() -> np.ndarray:
    """1280 x 720, as a decoder gives it: height, width, channel."""
    return np.random.default_rng(42).integers(0, 256, (720, 1280, 3), dtype=np.uint8)


@pytest.mark.xfail(
    reason="known gap: 2.9 to 4.1 on a Xeon, 6.5 to 7.2 on an EPYC; see docs/results/transforms.md"
)
@pytest.mark.floor(speedup=3.5)
def test_a_image_on_one_core_against_albumentations(perf, image, one_core, retain_freed_memory):
    pytest.importorskip("albumentations", reason="albumentations is not installed")
    albumentations = albumentations_normalize(IMAGENET)
    images = torch.from_numpy(image)[None]
    perf.race(
        ours=lambda: normalize(images, **STATISTICS, layout="NHWC"),
        albumentations=lambda: albumentations(image=image),
        items=1,
    )


@pytest.mark.floor(speedup=1.5)
def test_a_image_into_planes_on_one_core_against_torchvision(perf, image, one_core, retain_freed_memory):
    """From HWC to planes, as a network without channels_last wants it."""
    from torchvision.transforms.v2 import functional as tv

    images = torch.from_numpy(image)[None]

    def torchvision():
        planes = images.permute(0, 3, 1, 2).contiguous()
        return tv.normalize(tv.to_dtype(planes, torch.float32, scale=True), *STATISTICS.values())

    perf.race(
        ours=lambda: normalize(images, **STATISTICS, layout="NHWC", memory_format=torch.contiguous_format),
        torchvision=torchvision,
        items=1,
    )


@pytest.mark.floor(speedup=1.0)
def test_the_chosen_way_is_the_fastest_of_all_on_one_core(perf, image, one_core):
    if not IMPLEMENTATIONS["numba"].is_available:
        pytest.skip("numba is not installed")
    images = torch.from_numpy(image)[None]
    out = torch.empty(1, 720, 1280, 3).permute(0, 3, 1, 2)

    def by(name):
        return lambda: normalize(images, **STATISTICS, layout="NHWC", out=out, implementation=name)

    perf.race(
        numba=by("numba"),
        torch=by("torch"),
        opencv=by("opencv"),
        numpy=by("numpy"),
        items=1,
    )


XFAIL_IN_CACHE = pytest.mark.xfail(
    reason="known gap: 1.5 to 2.3 where the last cache holds the batch; torch itself converts in 1.4 to 2.0"
)


@pytest.mark.ceiling(overhead=0.5)
@pytest.mark.parametrize(
    "memory_format", [torch.contiguous_format, torch.channels_last], ids=["NCHW", "NHWC"]
)
@pytest.mark.parametrize("batch", [pytest.param(32, marks=XFAIL_IN_CACHE), 128])
def test_a_batch_against_filling_the_output(perf, image_batch, batch, memory_format, one_core):
    images = image_batch.repeat(batch // 32, 1, 1, 1).contiguous(memory_format=memory_format)
    out = torch.empty_like(images, dtype=torch.float32)
    perf.pair(
        filling=lambda: out.fill_(1.0),
        normalizing=lambda: normalize(images, **STATISTICS, out=out),
        items=batch,
    )


@pytest.mark.ceiling(overhead=0.10)
def test_deciding_whether_to_normalize_beside_normalizing(perf, image_batch, one_core):
    """Of bytes there is nothing to spare: what the decision adds to small images, its hardest case.

    Of larger ones the memory of each output is mapped anew at some calls, which would be judged instead.
    """
    small = [one[None, :, :32, :32].contiguous() for one in image_batch]
    conditional = ConditionalNormalize(**STATISTICS)
    perf.pair(
        always=lambda: [normalize(one, **STATISTICS) for one in small],
        conditional=lambda: [conditional(one) for one in small],
        items=32,
    )


@pytest.mark.floor(speedup=1.5)
def test_what_is_normalized_is_left_alone(perf, image_batch, one_core):
    """Where batches come normalized already, against normalizing the bytes that they were made of."""
    normalized = normalize(image_batch, **STATISTICS)
    conditional = ConditionalNormalize(**STATISTICS, floats="normalized")
    assert conditional(normalized) is normalized
    perf.race(
        left_alone=lambda: conditional(normalized),
        normalized_again=lambda: conditional(image_batch),
        items=32,
    )


@pytest.mark.floor(speedup=1.0)
def test_half_the_bytes_take_no_longer(perf, image_batch, one_core):
    """bfloat16 against float32, each into an output that is there already."""
    wide, narrow = (torch.empty_like(image_batch, dtype=dtype) for dtype in (torch.float32, torch.bfloat16))
    perf.race(
        bfloat16=lambda: normalize(image_batch, **STATISTICS, out=narrow),
        float32=lambda: normalize(image_batch, **STATISTICS, out=wide),
        items=32,
    )


@pytest.fixture
def on_gpu() -> torch.Tensor:
    """256 images at 224 pixels, more than any cache holds."""
    return torch.randint(0, 256, (256, 3, 224, 224), dtype=torch.uint8, device="cuda")


@pytest.mark.gpu
@pytest.mark.ceiling(overhead=0.25)  # four fifths of the bandwidth of a copy
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_on_the_gpu_against_a_copy_of_as_many_bytes(perf, on_gpu, dtype):
    out = torch.empty_like(on_gpu, dtype=dtype)
    half_of_traffic = on_gpu.numel() * (1 + dtype.itemsize) // 2
    source, target = (torch.empty(half_of_traffic, dtype=torch.uint8, device="cuda") for _ in range(2))
    perf.pair(
        copying=lambda: target.copy_(source),
        normalizing=lambda: normalize(on_gpu, **STATISTICS, out=out),
        items=256,
        device="cuda",
    )


@pytest.mark.gpu
@pytest.mark.floor(speedup=3.0)
def test_on_the_gpu_against_a_prefetcher_s_arithmetic(perf, on_gpu):
    """What timm's prefetcher does to each batch, in bfloat16."""
    mean = torch.tensor(IMAGENET.mean, device="cuda").mul(255).bfloat16().view(1, 3, 1, 1)
    std = torch.tensor(IMAGENET.std, device="cuda").mul(255).bfloat16().view(1, 3, 1, 1)
    perf.race(
        ours=lambda: normalize(on_gpu, **STATISTICS, dtype=torch.bfloat16),
        prefetcher=lambda: on_gpu.to(torch.bfloat16).sub_(mean).div_(std),
        items=256,
        device="cuda",
    )


@pytest.mark.gpu
@pytest.mark.floor(speedup=5.0)
def test_on_the_gpu_against_torchvision(perf, on_gpu):
    from torchvision.transforms.v2 import functional as tv

    perf.race(
        ours=lambda: normalize(on_gpu, **STATISTICS),
        torchvision=lambda: tv.normalize(
            tv.to_dtype(on_gpu, torch.float32, scale=True), *STATISTICS.values()
        ),
        items=256,
        device="cuda",
    )


@pytest.mark.gpu
@pytest.mark.ceiling(host_syncs=0)
def test_on_the_gpu_the_host_does_not_wait(perf, on_gpu):
    perf(lambda: normalize(on_gpu, **STATISTICS), items=256, unit="images", device="cuda")
