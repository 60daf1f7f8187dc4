"""Host synchronizations, one operation a row.

The expected numbers are what CUDA needs, from the semantics of each operation: the host must wait where it
has to know a value or a size that only the device has. 1 means that it waits at least once in this call.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import pytest
import torch
import torchvision

from perfsuite.measure.counters.registry import count

FLOATS = torch.rand(5)
WHOLE = torch.tensor([0, 2, 1, 2])
MATRIX = torch.rand(6, 3)
REPEATS = torch.tensor([1, 2, 1, 1, 1])
SQUARE = torch.eye(3)
BOXES = torch.tensor([[0.0, 0, 1, 1], [0, 0, 1, 1.1], [3, 3, 4, 4]])
SCORES = torch.tensor([0.9, 0.8, 0.7])
F = torch.nn.functional

# Values: the host reads numbers, so it waits until they are computed.
READS: dict[str, tuple[Callable[[], object], int]] = {
    "item": (lambda: FLOATS[0].item(), 1),
    "float()": (lambda: float(FLOATS[0]), 1),
    "int()": (lambda: int(WHOLE[1]), 1),
    "bool()": (lambda: bool(FLOATS[0]), 1),
    "if": (lambda: 1 if FLOATS.sum() > 0 else 2, 1),
    "index of a list": (lambda: [1, 2, 3][WHOLE[0]], 1),
    "a slice to a tensor": (lambda: MATRIX[: WHOLE[1]], 1),
    "tolist": (lambda: FLOATS.tolist(), 1),
    "numpy": (lambda: FLOATS.numpy(), 1),
    "np.asarray": (lambda: np.asarray(FLOATS), 1),
    "cpu": (lambda: FLOATS.cpu(), 1),
    "repr": (lambda: repr(FLOATS), 1),
    "str": (lambda: str(FLOATS), 1),
    "f-string": (lambda: f"{FLOATS}", 1),
    "f-string of a number": (lambda: f"{FLOATS[0]:.3f}", 1),
    "tensor of tensors": (lambda: torch.tensor([FLOATS[0], FLOATS[1]]), 2),
    "equal": (lambda: torch.equal(FLOATS, FLOATS), 1),
    "allclose": (lambda: torch.allclose(FLOATS, FLOATS), 1),
    "in": (lambda: 0.5 in FLOATS, 1),
    "is_nonzero": (lambda: torch.is_nonzero(FLOATS[0]), 1),
    "checked inverse": (lambda: torch.linalg.inv(SQUARE), 1),
    "a loop of five": (lambda: [float(value) for value in FLOATS], 5),
}
# Sizes: the shape of the result depends on values.
SIZES: dict[str, tuple[Callable[[], object], int]] = {
    "nonzero": (lambda: FLOATS.nonzero(), 1),
    "argwhere": (lambda: torch.argwhere(FLOATS > 0), 1),
    "where of one": (lambda: torch.where(FLOATS > 0), 1),
    "masked_select": (lambda: FLOATS.masked_select(FLOATS > 0), 1),
    "mask": (lambda: FLOATS[FLOATS > 0], 1),
    "unique": (lambda: torch.unique(WHOLE), 1),
    "unique_consecutive": (lambda: torch.unique_consecutive(WHOLE), 1),
    "unique by rows": (lambda: torch.unique(MATRIX, dim=0), 1),
    "bincount": (lambda: torch.bincount(WHOLE), 1),
    "histc of its own range": (lambda: torch.histc(FLOATS), 1),
    "one_hot": (lambda: F.one_hot(WHOLE), 1),
    "repeat_interleave": (lambda: torch.repeat_interleave(FLOATS, REPEATS), 1),
    "nms": (lambda: torchvision.ops.nms(BOXES, SCORES, 0.5), 1),
    "batched_nms": (
        lambda: torchvision.ops.batched_nms(BOXES, SCORES, torch.zeros(3, dtype=torch.int64), 0.5),
        1,
    ),
    "multinomial": (lambda: torch.multinomial(SCORES, 2), 1),
}
# The shape is known, so nothing waits.
NO_WAIT: dict[str, tuple[Callable[[], object], int]] = {
    "where of three": (lambda: torch.where(FLOATS > 0, FLOATS, FLOATS), 0),
    "index by integers": (lambda: MATRIX[WHOLE], 0),
    "fill by a mask": (lambda: FLOATS.masked_fill(FLOATS > 2, 0.0), 0),
    "repeat_interleave with output_size": (
        lambda: torch.repeat_interleave(FLOATS, REPEATS, output_size=6),
        0,
    ),
    "repeat_interleave by a number": (lambda: FLOATS.repeat_interleave(2), 0),
    "one_hot of known classes": (lambda: F.one_hot(WHOLE, 5), 0),
    "histc of a given range": (lambda: torch.histc(FLOATS, min=0, max=1), 0),
    "multinomial with replacement": (lambda: torch.multinomial(SCORES, 2, replacement=True), 0),
    "nonzero_static": (lambda: torch.nonzero_static(FLOATS, size=5), 0),
    "sum": (lambda: FLOATS.sum(), 0),
    "sort": (lambda: FLOATS.sort(), 0),
    "deepcopy": (lambda: copy.deepcopy(FLOATS), 0),
    "unchecked inverse": (lambda: torch.linalg.inv_ex(SQUARE), 0),
    "cross entropy": (lambda: F.cross_entropy(MATRIX, torch.zeros(6, dtype=torch.int64)), 0),
    "list": (lambda: list(FLOATS), 0),
    "to the same device": (lambda: FLOATS.to(FLOATS.device), 0),
}
# Once a tensor is in the host's memory, reading it waits for nothing.
ON_THE_HOST: dict[str, tuple[Callable[[], object], int]] = {
    "cpu, numpy": (lambda: FLOATS.add(1).cpu().numpy(), 1),
    "detach, cpu, tolist": (lambda: FLOATS.add(1).detach().cpu().tolist(), 1),
    "cpu, index, item": (lambda: FLOATS.add(1).cpu()[0].item(), 1),
    "cpu, printed": (lambda: repr(FLOATS.add(1).cpu()), 1),
    "cpu of another": (lambda: (FLOATS.add(1).cpu(), FLOATS.sum().item()), 2),
}
ROWS = READS | SIZES | NO_WAIT | ON_THE_HOST
Guard = Callable[[], AbstractContextManager[object]]


@pytest.mark.parametrize("guard", [nullcontext, torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize(("call", "expected"), ROWS.values(), ids=ROWS)
def test_each_operation_waits_as_often_as_on_a_device(
    call: Callable[[], object], expected: int, guard: Guard
) -> None:
    def guarded() -> None:
        with guard():
            call()

    assert count(guarded)["host_syncs"] == expected


def test_a_loop_that_reads_the_loss_is_seen() -> None:
    """Negative control of `ceiling(host_syncs=0)`: the loop without the read counts none."""
    weight = torch.rand(3, 2, requires_grad=True)
    losses: list[object] = []

    def steps(read: bool) -> None:
        for _ in range(4):
            loss = (MATRIX @ weight).square().mean()
            loss.backward()  # type: ignore[no-untyped-call]
            if read:
                losses.append(loss.tolist())

    assert count(lambda: steps(read=False))["host_syncs"] == 0
    assert count(lambda: steps(read=True))["host_syncs"] == 4
