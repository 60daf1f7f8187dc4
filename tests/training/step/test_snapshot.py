"""Snapshots undo a forward pass: running statistics and the random numbers of the CPU and of every GPU."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from perfsuite.training.step.snapshot import ForwardSnapshot, without_side_effects
from tests.training.tiny_models import batch_norm, norm_model, random_batch


@pytest.fixture
def gpu_rngs(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The states of the RNGs of two GPUs that stand in for real ones."""
    states = [torch.tensor([1], dtype=torch.uint8), torch.tensor([2], dtype=torch.uint8)]

    def set_states(new: list[Tensor]) -> None:
        states[:] = [state.clone() for state in new]

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: [state.clone() for state in states])
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", set_states)
    return states


def draw(gpu_rngs: list[Tensor]) -> float:
    """A random number of the CPU and of each GPU."""
    for state in gpu_rngs:
        state += 1
    return torch.rand(1).item()


def test_a_restored_snapshot_undoes_statistics_and_random_numbers(gpu_rngs: list[Tensor]) -> None:
    model = norm_model()
    snapshot = ForwardSnapshot.of(model)
    first = draw(gpu_rngs)
    model(random_batch(4)[0])
    assert batch_norm(model).num_batches_tracked == 1
    assert [int(state) for state in gpu_rngs] == [2, 3]
    snapshot.restore()
    assert batch_norm(model).num_batches_tracked == 0
    assert [int(state) for state in gpu_rngs] == [1, 2]
    assert draw(gpu_rngs) == first


def test_a_block_without_side_effects_restores_them_after_an_error(gpu_rngs: list[Tensor]) -> None:
    model = norm_model()
    before = torch.get_rng_state()

    def fail_after_a_draw() -> None:
        with without_side_effects(model):
            draw(gpu_rngs)
            raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"):
        fail_after_a_draw()
    assert [int(state) for state in gpu_rngs] == [1, 2]
    assert torch.equal(torch.get_rng_state(), before)
