"""Every implementation of normalizing is within the bound for all bytes, channels, types and layouts."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from perfsuite.transforms import normalize
from perfsuite.transforms.normalization.channel_stats import NAMED_STATISTICS, ChannelStatistics
from perfsuite.transforms.normalization.eager import OUTPUT_DTYPES
from perfsuite.transforms.normalization.registry import IMPLEMENTATIONS
from tests.transforms.normalization.error_bound import worst_error_ratio

GPU = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
DEVICES = ["cpu", pytest.param("cuda", marks=GPU)]
FORMATS = [torch.contiguous_format, torch.channels_last]
# The default choice (None) and implementations; interpreted Triton and torch.compile are tested elsewhere.
IMPLEMENTATIONS_TO_TEST = [
    (implementation, "cpu") for implementation in (None, "torch", "numba", "numpy", "opencv")
] + [
    pytest.param(implementation, "cuda", marks=GPU)
    for implementation in (None, "torch", "triton", "compiled")
]
THIRTEEN = ChannelStatistics(
    tuple(0.1 + 0.05 * c for c in range(13)), tuple(0.2 + 0.03 * c for c in range(13))
)
STATISTICS = {
    **NAMED_STATISTICS,
    "one": ChannelStatistics((0.1307,), (0.3081,)),
    "four": ChannelStatistics((0.485, 0.456, 0.406, 0.2), (0.229, 0.224, 0.225, 0.3)),
    "thirteen": THIRTEEN,
    "narrow": ChannelStatistics((0.9, -1.5, 2.0), (0.001, 0.013, 7.0)),
}


def run(
    images: torch.Tensor,
    statistics: ChannelStatistics,
    implementation: str | None = None,
    dtype: torch.dtype = torch.float32,
    memory_format: torch.memory_format = torch.preserve_format,
) -> torch.Tensor:
    if implementation is not None and not IMPLEMENTATIONS[implementation].is_available:
        pytest.skip(f"{implementation} is not installed")
    return normalize(
        images,
        mean=statistics.mean,
        std=statistics.std,
        dtype=dtype,
        implementation=implementation,
        memory_format=memory_format,
    )


def all_bytes(channels: int) -> torch.Tensor:
    """Every byte in every channel, each channel in another order, in an image that is not square."""
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randperm(256, generator=generator) for _ in range(channels)]
    return torch.stack(rows).to(torch.uint8).view(1, channels, 8, 32)


def random_images(n: int, c: int, h: int, w: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(
        0, 256, (n, c, h, w), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one.cpu(), other.cpu())


@pytest.mark.parametrize(("implementation", "device"), IMPLEMENTATIONS_TO_TEST)
@pytest.mark.parametrize("dtype", OUTPUT_DTYPES)
@pytest.mark.parametrize("name", STATISTICS)
def test_every_byte_is_within_the_bound(
    name: str, dtype: torch.dtype, implementation: str | None, device: str
) -> None:
    statistics = STATISTICS[name]
    images = all_bytes(statistics.channels)
    for memory_format in FORMATS:
        given_images = images.to(device).contiguous(memory_format=memory_format)
        for out_format in FORMATS:
            answer = run(given_images, statistics, implementation, dtype, out_format)
            assert answer.dtype == dtype
            assert answer.is_contiguous(memory_format=out_format)
            assert worst_error_ratio(answer, images, statistics) <= 1


@pytest.mark.parametrize(("implementation", "device"), IMPLEMENTATIONS_TO_TEST)
@pytest.mark.parametrize("dtype", OUTPUT_DTYPES)
def test_the_result_is_the_same_for_all_strides_and_batch_sizes(
    dtype: torch.dtype, implementation: str | None, device: str
) -> None:
    images = random_images(3, 3, 37, 53).to(device)
    statistics = NAMED_STATISTICS["imagenet"]

    def answer(batch: torch.Tensor) -> torch.Tensor:
        return run(batch, statistics, implementation, dtype)

    plain = answer(images)
    assert same_bits(plain, answer(images)), "run against run"
    assert same_bits(plain, answer(images.contiguous(memory_format=torch.channels_last))), "channels_last"
    assert same_bits(plain, torch.cat([answer(one[None]) for one in images])), "batch against singles"
    assert same_bits(plain, torch.stack([answer(one) for one in images])), "batch against images"
    assert same_bits(plain.flip(3), answer(images.flip(3))), "mirrored before against after"
    assert same_bits(plain[:, :, 3:30, 5:44], answer(images[:, :, 3:30, 5:44])), "cut before against after"
    assert same_bits(plain[::2, :, ::3, 1::2], answer(images[::2, :, ::3, 1::2])), "strided"
    assert same_bits(plain.transpose(2, 3), answer(images.transpose(2, 3))), "transposed"
    assert same_bits(plain[:1].expand(4, -1, -1, -1), answer(images[:1].expand(4, -1, -1, -1))), "expanded"


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", OUTPUT_DTYPES)
def test_nhwc_input_gives_the_result_of_nchw(dtype: torch.dtype, device: str) -> None:
    images = random_images(2, 3, 11, 7).to(device)
    statistics = NAMED_STATISTICS["cifar10"]
    last = images.permute(0, 2, 3, 1).contiguous()
    answer = normalize(last, mean=statistics.mean, std=statistics.std, dtype=dtype, layout="NHWC")
    assert answer.shape == images.shape
    assert answer.is_contiguous(memory_format=torch.channels_last)
    assert same_bits(answer, run(images, statistics, dtype=dtype))


@pytest.mark.parametrize("dtype", OUTPUT_DTYPES)
def test_numba_agrees_with_torch_bit_for_bit(dtype: torch.dtype) -> None:
    """normalize() falls back to torch for unusual strides, so both must give one result."""
    images = random_images(2, 3, 41, 67)
    for statistics in (NAMED_STATISTICS["imagenet"], STATISTICS["narrow"]):
        assert same_bits(run(images, statistics, "numba", dtype), run(images, statistics, "torch", dtype))


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize(
    ("name", "size"), [("imagenet", (509, 521)), ("four", (509, 521)), ("one", (1024, 1031))]
)
def test_large_images_are_the_same_for_any_number_of_threads(
    name: str, size: tuple[int, int], memory_format: torch.memory_format
) -> None:
    """The sides are prime, so that blocks leave a rest and each thread begins at another offset."""
    statistics = STATISTICS[name]
    images = random_images(5, statistics.channels, *size).contiguous(memory_format=memory_format)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = run(images, statistics)
        torch.set_num_threads(3)
        assert same_bits(run(images, statistics), alone)
    finally:
        torch.set_num_threads(threads)
    assert worst_error_ratio(alone, images, statistics) <= 1


def test_large_outputs_are_aligned_to_cache_lines() -> None:
    outputs = [run(random_images(32, 3, 224, 224), NAMED_STATISTICS["imagenet"]) for _ in range(3)]
    assert [answer.data_ptr() % 64 for answer in outputs] == [0, 0, 0]
    assert all(answer.is_contiguous() for answer in outputs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_numba_rounds_to_16_bits_as_torch_does(dtype: torch.dtype) -> None:
    """Ties, subnormals and overflow, which no image reaches: every exponent and all dropped bits."""
    numba_kernels = pytest.importorskip(
        "perfsuite.transforms.normalization.numba_kernels", reason="numba is not installed"
    )
    rounded = {torch.float16: numba_kernels._to_float16, torch.bfloat16: numba_kernels._to_bfloat16}[dtype]
    random = torch.Generator().manual_seed(0)
    exponents = torch.arange(0, 255).view(-1, 1) << 23
    tails = torch.tensor(
        [0, 1, 0x0FFF, 0x1000, 0x1001, 0x1FFF, 0x3000, 0x7FFF, 0x8000, 0x8001, 0x18000, 0x7FFFFF]
    )
    above = torch.randint(0, 2**23, (255, 12), generator=random) & ~0x1FFFF
    bits = torch.cat([exponents | tails, exponents | above | tails]).flatten()
    values = torch.cat([bits, bits | (1 << 31)]).to(torch.uint32).view(torch.float32)
    made = [int(rounded(value)) & 0xFFFF for value in values.numpy()]
    assert made == values.to(dtype).view(torch.uint16).tolist()


def test_normalized_images_have_mean_zero_and_deviation_one() -> None:
    images = random_images(8, 3, 64, 64).float()
    images = (images * torch.tensor([0.3, 0.6, 0.9]).view(-1, 1, 1)).to(torch.uint8)
    of_images = images.double().div(255)
    mean, std = of_images.mean((0, 2, 3)).tolist(), of_images.std((0, 2, 3), correction=0).tolist()
    answer = normalize(images, mean=mean, std=std)
    assert answer.mean((0, 2, 3)).abs().max() < 1e-4
    assert (answer.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-4


def test_a_channel_does_not_affect_another() -> None:
    images = random_images(1, 3, 16, 16)
    changed = images.clone()
    changed[:, 1] = 255 - changed[:, 1]
    before, after = (run(batch, NAMED_STATISTICS["imagenet"]) for batch in (images, changed))
    assert same_bits(before[:, [0, 2]], after[:, [0, 2]])


def test_out_is_filled_and_returned() -> None:
    images = random_images(2, 3, 5, 4)
    out = torch.full((2, 3, 5, 4), float("nan"), dtype=torch.bfloat16)
    answer = normalize(images, mean=(0.5,) * 3, std=(0.5,) * 3, out=out)
    assert answer is out
    assert worst_error_ratio(out, images, NAMED_STATISTICS["half"]) <= 1


def sliced(images: torch.Tensor, how: str) -> torch.Tensor:
    return {
        "as it is": lambda: images,
        "channels last": lambda: images.contiguous(memory_format=torch.channels_last),
        "transposed": lambda: images.transpose(2, 3),
        "every second": lambda: images[:, :, ::2, ::2],
        "misaligned": lambda: images[..., 1:],
        "backwards": lambda: images.flip(2, 3),
        "one image for all": lambda: images[:1].expand(3, -1, -1, -1) if len(images) else images,
    }[how]()


HOW = [
    "as it is",
    "channels last",
    "transposed",
    "every second",
    "misaligned",
    "backwards",
    "one image for all",
]


@pytest.mark.parametrize("device", DEVICES)
@settings(deadline=None, max_examples=100, derandomize=True)
@given(
    n=st.integers(0, 5),
    c=st.integers(1, 5),
    h=st.integers(1, 70),
    w=st.integers(1, 70),
    how=st.sampled_from(HOW),
    dtype=st.sampled_from(OUTPUT_DTYPES),
    out_format=st.sampled_from([torch.preserve_format, *FORMATS]),
    means=st.lists(st.floats(-1, 2, width=32), min_size=5, max_size=5),
    stds=st.lists(st.floats(1e-3, 10), min_size=5, max_size=5),
)
@example(
    n=0,
    c=3,
    h=5,
    w=5,
    how="as it is",
    dtype=torch.float32,
    out_format=torch.preserve_format,
    means=[0.5] * 5,
    stds=[0.5] * 5,
)
@example(
    n=1,
    c=1,
    h=1,
    w=1,
    how="misaligned",
    dtype=torch.float16,
    out_format=torch.channels_last,
    means=[0.5] * 5,
    stds=[0.001] * 5,
)
@example(
    n=5,
    c=5,
    h=67,
    w=61,
    how="every second",
    dtype=torch.bfloat16,
    out_format=torch.channels_last,
    means=[2.0] * 5,
    stds=[10.0] * 5,
)
@example(
    n=5, c=3, h=67, w=70, how="as it is", dtype=torch.float32, out_format=torch.contiguous_format,
    means=[0.1, 0.2, 0.3, 0.4, 0.5], stds=[0.1, 0.2, 0.3, 0.4, 0.5],
)  # fmt: skip
def test_any_shape_strides_and_statistics_are_within_the_bound(
    device: str,
    n: int,
    c: int,
    h: int,
    w: int,
    how: str,
    dtype: torch.dtype,
    out_format: torch.memory_format,
    means: list[float],
    stds: list[float],
) -> None:
    images = sliced(random_images(n, c, h, w, seed=n + h * w).to(device), how)
    statistics = ChannelStatistics.of(means[:c], stds[:c])
    plain = run(images, statistics, None, dtype, out_format)
    assert plain.shape == images.shape
    assert worst_error_ratio(plain, images, statistics) <= 1
    # On a CPU the strides may select torch; on a GPU they select one of two kernels.
    other = "torch" if device == "cpu" else None
    assert same_bits(plain, run(images.contiguous(), statistics, other, dtype, out_format))


@pytest.mark.parametrize("value", [0, 255])
def test_black_and_white_images_are_within_the_bound(value: int) -> None:
    images = torch.full((2, 3, 9, 9), value, dtype=torch.uint8)
    for dtype in OUTPUT_DTYPES:
        assert (
            worst_error_ratio(
                run(images, NAMED_STATISTICS["imagenet"], dtype=dtype), images, NAMED_STATISTICS["imagenet"]
            )
            <= 1
        )


@pytest.mark.slow
@pytest.mark.parametrize("dtype", OUTPUT_DTYPES)
def test_torch_compile_is_within_the_bound(dtype: torch.dtype) -> None:
    """Generated code for the CPU: within the bound, and the same bits for every layout."""
    images = all_bytes(3)
    statistics = NAMED_STATISTICS["imagenet"]
    answers = [
        run(images.contiguous(memory_format=memory_format), statistics, "compiled", dtype)
        for memory_format in FORMATS
    ]
    assert all(worst_error_ratio(answer, images, statistics) <= 1 for answer in answers)
    assert same_bits(*answers)
    assert same_bits(answers[0].flip(3), run(images.flip(3), statistics, "compiled", dtype))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", OUTPUT_DTYPES)
def test_a_recorded_graph_replays_bit_for_bit(dtype: torch.dtype) -> None:
    images = random_images(4, 3, 33, 47).cuda()
    statistics = NAMED_STATISTICS["imagenet"]
    direct = run(images, statistics, None, dtype)
    out = torch.empty_like(direct)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        normalize(images, mean=statistics.mean, std=statistics.std, out=out)
    out.zero_()
    graph.replay()
    assert same_bits(out, direct)


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_a_batch_may_have_more_than_two_to_the_31_elements(device: str) -> None:
    """The end of a batch whose offsets need 64 bits."""
    images = (
        torch.zeros((1, 1, 1, 1), dtype=torch.uint8, device=device).expand(2, 3, 20_000, 20_000).contiguous()
    )
    images[-1, -1, -1, -1] = 255
    answer = normalize(images, mean=(0.5,) * 3, std=(0.25, 0.5, 1.0), dtype=torch.bfloat16)
    assert answer[-1, -1, -1, -2:].tolist() == [-0.5, 0.5]
    assert answer[0, 0, 0, 0].item() == -2.0
