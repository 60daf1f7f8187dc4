"""normalize under torch.compile, torch.export and vmap; eager calls do without the operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perfsuite.transforms import normalize
from perfsuite.transforms.normalization.channel_stats import IMAGENET
from perfsuite.transforms.normalization.conditional import ConditionalNormalize
from perfsuite.transforms.normalization.custom_op import normalize_operator
from perfsuite.transforms.normalization.eager import HUGE_PAGE_MIN_BYTES, OUTPUT_DTYPES
from tests.training.tiny_models import OperatorCounter

STATISTICS: dict[str, Any] = {"mean": IMAGENET.mean, "std": IMAGENET.std}
BACKENDS = ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)]


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def random_bytes(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def compiled(function: Callable[..., Any], backend: str = "aot_eager", **options: Any) -> Callable[..., Any]:
    """Compile without any graph break: one raises."""
    result: Callable[..., Any] = torch.compile(function, fullgraph=True, backend=backend, **options)
    return result


CASES: list[tuple[Tensor, dict[str, Any]]] = [
    (random_bytes(2, 3, 8, 8), {}),
    (random_bytes(3, 8, 8), {}),
    (random_bytes(3, 8, 8), {"memory_format": torch.channels_last}),
    (random_bytes(2, 8, 8, 3), {"layout": "NHWC"}),
    (random_bytes(2, 8, 8, 3), {"layout": "NHWC", "memory_format": torch.contiguous_format}),
    (random_bytes(2, 3, 8, 8), {"dtype": torch.bfloat16, "memory_format": torch.channels_last}),
    (random_bytes(2, 3, 16, 16)[:, :, ::2, 1:9], {"dtype": torch.float16}),
    (random_bytes(2, 3, 8, 8), {"implementation": "numpy"}),
    (random_bytes(1, 3, 640, 640), {}),  # an output in huge pages
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("images", "options"), CASES, ids=str)
def test_compiled_calls_give_the_bits_and_strides_of_eager_ones(
    images: Tensor, options: dict[str, Any], backend: str
) -> None:
    def call(images: Tensor) -> Tensor:
        return normalize(images, **STATISTICS, **options)

    expected, actual = call(images), compiled(call, backend)(images)
    assert torch.equal(actual, expected)
    assert (actual.dtype, actual.stride()) == (expected.dtype, expected.stride())
    assert CASES[-1][0].numel() * 4 > HUGE_PAGE_MIN_BYTES


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_given_output_is_filled_and_returned(backend: str) -> None:
    def call(images: Tensor, out: Tensor) -> Tensor:
        return normalize(images, **STATISTICS, out=out)

    images, out = random_bytes(2, 3, 8, 8), torch.zeros(2, 3, 8, 8, dtype=torch.bfloat16)
    compiled(call, backend)(images, out)
    assert torch.equal(out, normalize(images, **STATISTICS, dtype=torch.bfloat16))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_model_that_normalizes_its_input_trains_in_one_graph(backend: str) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.normalize = ConditionalNormalize(list(IMAGENET.mean), list(IMAGENET.std))
            self.convolution = nn.Conv2d(3, 2, 3)

        def forward(self, images: Tensor) -> Tensor:
            scores: Tensor = self.convolution(self.normalize(images)).mean((2, 3))
            return scores

    torch.manual_seed(0)
    model, images = Model(), random_bytes(2, 3, 8, 8)
    losses, gradients = [], []
    for call in (model, compiled(model, backend)):
        model.zero_grad()
        loss = call(images).square().sum()
        loss.backward()
        losses.append(loss.detach())
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])  # type: ignore[union-attr]
    assert torch.allclose(losses[0], losses[1])
    assert all(map(torch.allclose, *gradients))


def test_batches_of_other_sizes_do_not_compile_again_with_dynamic_shapes() -> None:
    call = compiled(lambda images: normalize(images, **STATISTICS), dynamic=True)
    with torch.compiler.set_stance("default"):
        call(random_bytes(2, 3, 8, 8))
    with torch.compiler.set_stance("fail_on_recompile"):
        for count in (3, 5):
            images = random_bytes(count, 3, 8, 8)
            assert torch.equal(call(images), normalize(images, **STATISTICS))


def test_wrong_input_is_refused_in_compiled_code_too() -> None:
    with pytest.raises(Exception, match=r"torch\.float32 input, expected torch\.uint8"):
        compiled(lambda images: normalize(images, **STATISTICS))(torch.zeros(2, 3, 8, 8))


def test_an_exported_model_contains_the_operator() -> None:
    class Model(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return normalize(images, **STATISTICS)

    images = random_bytes(2, 3, 8, 8)
    program = torch.export.export(Model(), (images,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    assert "perfsuite.normalize" in str(program.graph)
    more = random_bytes(5, 3, 8, 8)
    assert torch.equal(program.module()(more), normalize(more, **STATISTICS))


@pytest.mark.parametrize(("shape", "dimension"), [((4, 3, 8, 8), 0), ((3, 8, 4, 8), 2), ((4, 2, 3, 8, 8), 0)])
def test_vmap_equals_a_loop(shape: tuple[int, ...], dimension: int) -> None:
    def call(images: Tensor) -> Tensor:
        return normalize(images, **STATISTICS)

    images = random_bytes(*shape)
    expected = torch.stack([call(part) for part in images.unbind(dimension)])
    assert torch.equal(torch.func.vmap(call, in_dims=dimension)(images), expected)


def test_nested_vmap_and_gradients_of_a_function_that_normalizes() -> None:
    images = random_bytes(2, 4, 3, 8, 8)

    def loss(weight: Tensor, image: Tensor) -> Tensor:
        return (normalize(image, **STATISTICS) * weight).sum()

    nested = torch.func.vmap(torch.func.vmap(lambda image: normalize(image, **STATISTICS)))(images)
    assert torch.equal(nested.flatten(0, 1), normalize(images.flatten(0, 1), **STATISTICS))
    gradients = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(torch.tensor(2.0), images[0])
    assert torch.allclose(gradients, normalize(images[0], **STATISTICS).sum((1, 2, 3)), atol=1e-3)


def test_an_error_inside_vmap_is_that_of_eager_code() -> None:
    with pytest.raises(TypeError, match=r"expected torch\.uint8"):
        torch.func.vmap(lambda images: normalize(images, **STATISTICS))(torch.zeros(2, 3, 8, 8))


@pytest.mark.parametrize("dtype", OUTPUT_DTYPES)
@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (3, 4, 4), (0, 3, 4, 4)])
def test_the_operator_passes_the_checks_of_torch(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    arguments = (
        random_bytes(*shape),
        list(IMAGENET.mean),
        list(IMAGENET.std),
        dtype,
        "NCHW",
        "preserve",
        None,
    )
    torch.library.opcheck(normalize_operator, arguments)


def test_eager_calls_do_not_dispatch_the_operator() -> None:
    """Its dispatch costs about as much as normalizing a small image."""
    images, operators = random_bytes(2, 3, 8, 8), OperatorCounter()
    with operators:
        normalize(images, **STATISTICS)
    assert operators.count["normalize"] == 0
    with operators:
        normalize_operator(
            images, list(IMAGENET.mean), list(IMAGENET.std), torch.float32, "NCHW", "preserve", None
        )
    assert operators.count["normalize"] == 1  # the negative control
