"""The Triton kernels of normalizing, run by Triton's interpreter on any machine."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
import torch

from perfsuite.transforms.normalization.channel_stats import NAMED_STATISTICS, ChannelStatistics
from perfsuite.transforms.normalization.eager import OUTPUT_DTYPES
from tests.transforms.normalization.error_bound import worst_error_ratio

pytest.importorskip("triton", reason="triton is not installed")

THIRTEEN = ChannelStatistics(
    tuple(0.1 + 0.05 * c for c in range(13)), tuple(0.2 + 0.03 * c for c in range(13))
)
FORMATS = [torch.contiguous_format, torch.channels_last]


@pytest.fixture(scope="module")
def kernels(interpreted: Callable[[str], ModuleType]) -> ModuleType:
    return interpreted("normalization.triton_kernels")


def random_images(n: int, c: int, h: int, w: int) -> torch.Tensor:
    return torch.randint(0, 256, (n, c, h, w), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def run(
    kernels: ModuleType,
    images: torch.Tensor,
    statistics: ChannelStatistics,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    out = torch.full_like(images, float("nan"), dtype=dtype)
    kernels.write(images, statistics, out)
    return out


@pytest.mark.parametrize("dtype", OUTPUT_DTYPES)
@pytest.mark.parametrize(
    "statistics", [NAMED_STATISTICS["imagenet"], ChannelStatistics((0.1307,), (0.3081,)), THIRTEEN]
)
def test_every_byte_is_within_the_bound(
    kernels: ModuleType, statistics: ChannelStatistics, dtype: torch.dtype
) -> None:
    images = torch.arange(256, dtype=torch.uint8).repeat(statistics.channels).view(1, -1, 16, 16)
    for memory_format in FORMATS:
        answer = run(kernels, images.contiguous(memory_format=memory_format), statistics, dtype)
        assert worst_error_ratio(answer, images, statistics) <= 1


@pytest.mark.parametrize("dtype", OUTPUT_DTYPES)
def test_the_result_is_the_same_for_all_strides(kernels: ModuleType, dtype: torch.dtype) -> None:
    images = random_images(3, 3, 37, 53)
    statistics = NAMED_STATISTICS["imagenet"]
    plain = run(kernels, images, statistics, dtype)
    assert worst_error_ratio(plain, images, statistics) <= 1
    assert torch.equal(plain, run(kernels, images, statistics, dtype))
    last = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(plain, run(kernels, last, statistics, dtype))
    assert torch.equal(plain[:, :, 3:30, 5:44], run(kernels, images[:, :, 3:30, 5:44], statistics, dtype))
    assert torch.equal(plain.transpose(2, 3), run(kernels, images.transpose(2, 3), statistics, dtype))
    assert torch.equal(plain.flip(3), run(kernels, images.flip(3), statistics, dtype))
    assert torch.equal(
        plain[:1].expand(2, -1, -1, -1), run(kernels, images[:1].expand(2, -1, -1, -1), statistics, dtype)
    )
    into_last = torch.empty_like(plain, memory_format=torch.channels_last)
    kernels.write(images, statistics, into_last)
    assert torch.equal(plain, into_last)


# A program has 4096 elements of float32, 8192 of a 16-bit float. The planes are shorter, as long and longer,
# and end within a tile, between two tiles and at the end of a program.
@pytest.mark.parametrize("dtype", OUTPUT_DTYPES)
@pytest.mark.parametrize(
    ("n", "c", "h", "w"),
    [(2, 3, 71, 67), (2, 3, 64, 64), (5, 4, 97, 101), (7, 3, 8, 8), (40, 3, 13, 17), (9, 5, 32, 32),
     (3, 1, 128, 64), (1, 2, 64, 65), (3, 3, 91, 97), (1, 1, 1, 1), (700, 13, 1, 1)],
)  # fmt: skip
def test_every_element_is_right_wherever_the_planes_end(
    kernels: ModuleType, n: int, c: int, h: int, w: int, dtype: torch.dtype
) -> None:
    images = random_images(n, c, h, w)
    statistics = ChannelStatistics(THIRTEEN.mean[:c], THIRTEEN.std[:c])
    planes = run(kernels, images, statistics, dtype)
    assert worst_error_ratio(planes, images, statistics) <= 1
    last = run(kernels, images.contiguous(memory_format=torch.channels_last), statistics, dtype)
    assert torch.equal(planes, last)


def test_an_empty_batch_stays_empty(kernels: ModuleType) -> None:
    assert run(kernels, random_images(0, 3, 4, 4), NAMED_STATISTICS["imagenet"]).shape == (0, 3, 4, 4)


@pytest.mark.parametrize("memory_format", FORMATS)
def test_images_are_gathered_by_row_offset_and_mirror(
    kernels: ModuleType, memory_format: torch.memory_format
) -> None:
    images = random_images(5, 3, 11, 13)
    rows = torch.tensor([4, 0, 2, 2], dtype=torch.int32)
    tops = torch.tensor([0, 2, -3, 6], dtype=torch.int32)
    lefts = torch.tensor([1, -2, 5, 0], dtype=torch.int32)
    mirrors = torch.tensor([0, 1, 1, 0], dtype=torch.int32)
    out = torch.full((4, 3, 8, 7), float("nan")).contiguous(memory_format=memory_format)
    kernels.write_gathered(images, NAMED_STATISTICS["imagenet"], out, rows, tops, lefts, mirrors, fill=128)

    expected = torch.full((4, 3, 8, 7), 128, dtype=torch.uint8)
    for n in range(4):
        for y in range(8):
            for x in range(7):
                from_y, from_x = y + int(tops[n]), (6 - x if mirrors[n] else x) + int(lefts[n])
                if 0 <= from_y < 11 and 0 <= from_x < 13:
                    expected[n, :, y, x] = images[rows[n], :, from_y, from_x]
    assert worst_error_ratio(out, expected, NAMED_STATISTICS["imagenet"]) <= 1


def test_the_interpreted_copy_is_a_module_of_its_own(kernels: ModuleType) -> None:
    from perfsuite.transforms.normalization import triton_kernels as real

    assert kernels is not real
