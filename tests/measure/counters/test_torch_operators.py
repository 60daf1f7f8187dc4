"""Operators, casts and copies are those of the call: no instrument adds to them, and no mode hides them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from perfsuite.measure.counters.registry import count
from perfsuite.measure.counters.torch_dispatch import count_operators

FLOATS = torch.rand(2, 3, 4, 4)
WHOLE = torch.ones(5, dtype=torch.int64)
NHWC = FLOATS.contiguous(memory_format=torch.channels_last)
Guard = Callable[[], AbstractContextManager[object]]
GUARDS: list[Guard] = [nullcontext, torch.no_grad, torch.inference_mode]

# By operation: casts, copies, layout copies.
COPIES: dict[str, tuple[Callable[[], object], tuple[int, int, int]]] = {
    "half": (lambda: FLOATS.half(), (1, 1, 0)),
    "to a dtype": (lambda: FLOATS.to(torch.bfloat16), (1, 1, 0)),
    "to the same dtype": (lambda: FLOATS.to(torch.float32), (0, 0, 0)),
    "float": (lambda: WHOLE.float(), (1, 1, 0)),
    "type_as": (lambda: WHOLE.type_as(FLOATS), (1, 1, 0)),
    "clone": (lambda: FLOATS.clone(), (0, 1, 0)),
    "contiguous": (lambda: NHWC.contiguous(), (0, 1, 1)),
    "contiguous already": (lambda: FLOATS.contiguous(), (0, 0, 0)),
    "to channels_last": (lambda: FLOATS.to(memory_format=torch.channels_last), (0, 1, 1)),
    "reshape with a copy": (lambda: FLOATS.transpose(0, 1).reshape(-1), (0, 1, 1)),
    "reshape without one": (lambda: FLOATS.reshape(-1), (0, 0, 0)),
    "copy_ with a cast": (lambda: torch.empty(5).copy_(WHOLE), (1, 1, 0)),
}


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize(("call", "expected"), COPIES.values(), ids=COPIES)
def test_casts_and_copies_are_the_same_in_every_mode(
    call: Callable[[], object], expected: tuple[int, int, int], guard: Guard
) -> None:
    def guarded() -> None:
        with guard():
            call()

    counts = count(guarded)
    assert (counts["casts"], counts["copies"], counts["layout_copies"]) == expected


def convolutions() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2), nn.Softmax(-1)
    )


def training_step() -> Callable[[], None]:
    """One that reads saved inputs and saved results in the backward pass."""
    model = convolutions()

    def step() -> None:
        out = model(FLOATS)
        (out.exp() * out.sigmoid()).sum().backward()

    step()
    return step


class PlainCounter(TorchDispatchMode):
    """The oracle: torch's own mode, with nothing else active."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.total += 1
        return func(*args, **(kwargs or {}))


def test_counting_adds_no_operator_of_its_own() -> None:
    step = training_step()
    with PlainCounter() as plain:
        step()
    counts = count(step)
    assert counts["dispatched_ops"] == plain.total == sum(count_operators(step).values())
    assert counts["saved_bytes"] > 0


def test_inference_mode_dispatches_what_no_grad_dispatches() -> None:
    model = convolutions().eval()

    def forward(guard: Guard) -> None:
        with guard():
            model(FLOATS)

    without_grad = count_operators(lambda: forward(torch.no_grad))
    assert count_operators(lambda: forward(torch.inference_mode)) == without_grad


def test_a_step_is_called_twice_and_inference_once() -> None:
    """Saved bytes are counted in a second call, and only where autograd records something."""
    step, calls = training_step(), [0]

    def counted_step() -> None:
        calls[0] += 1
        step()

    def counted_inference() -> None:
        calls[0] += 1
        with torch.no_grad():
            FLOATS.sum()

    count(counted_step)
    assert calls == [2]
    count(counted_inference)
    assert calls == [3]


def test_views_and_in_place_operators_create_no_memory() -> None:
    kept = torch.zeros(1000)
    assert count(lambda: kept.view(10, 100).add_(1))["peak_tensor_bytes"] == 0
    assert count(lambda: kept.add(1))["peak_tensor_bytes"] == 4000


def to_sparse() -> object:
    return FLOATS.to_sparse()


def to_onednn() -> object:
    return FLOATS.to_mkldnn()


@pytest.mark.parametrize("convert", [to_sparse, to_onednn])
def test_tensors_without_a_storage_are_left_out_of_the_bytes(convert: Callable[[], object]) -> None:
    if convert is to_onednn and not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        pytest.skip("torch was built without oneDNN")
    kept = convert()
    counts = count(lambda: (kept, convert(), FLOATS.add(1)))
    assert counts["dispatched_ops"] > 1
    assert counts["peak_tensor_bytes"] >= FLOATS.numel() * 4
