"""Choosing the fastest preset on small models."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from perfsuite.advise.preset_search import find_fastest_preset
from perfsuite.advise.timed_step import speedup_interval, time_in_turns, verified_step_call
from perfsuite.training.models import make_model
from perfsuite.training.step.presets import BF16, EAGER


class BrokenInBf16(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = make_model("small", 3)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.inner(images)
        return scores * 3 if scores.dtype == torch.bfloat16 else scores


def batch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(4, 3, 16, 16), torch.tensor([0, 1, 2, 0])


def test_a_preset_with_other_results_is_rejected_and_not_timed() -> None:
    choice = find_fastest_preset(BrokenInBf16(), *batch(), ["bf16"], seconds=0.2)
    assert choice.preset == EAGER
    assert choice.speedups == {}
    assert "not timed" in choice.rejected["bf16"]


@pytest.mark.slow
def test_every_candidate_with_the_same_results_is_timed() -> None:
    choice = find_fastest_preset(make_model("small", 3), *batch(), ["channels_last", "fused"], seconds=0.5)
    assert set(choice.speedups) == {"channels_last", "fused"}
    assert choice.rejected == {}


def test_the_model_is_unchanged() -> None:
    model = make_model("small", 3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    call = verified_step_call(model, BF16, *batch())
    call()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.slow
def test_a_planted_slowdown_is_measured_in_turns() -> None:
    # Single-threaded, so that on a busy machine no threads wait for each other.
    turns = time_in_turns({"once": lambda: sum(range(10**5)), "ten times": lambda: sum(range(10**6))}, 1, 2.0)
    assert speedup_interval(turns, "ten times", "once").high < 1
