from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from perfsuite.training.inference.export import ParityError
from perfsuite.training.models import make_model
from perfsuite.training.step.parity import step_parity
from perfsuite.training.step.presets import (
    ACTIVATION_CHECKPOINTING,
    BF16,
    CHANNELS_LAST,
    COMBINED,
    EAGER,
    FOREACH,
    FP16,
    FUSED,
    IEEE,
    TF32,
    Preset,
)
from tests.training.tiny_models import batch_of


def small() -> nn.Module:
    torch.manual_seed(0)
    return make_model("small", 3)


@pytest.mark.parametrize(
    "preset",
    [
        *(EAGER, IEEE, TF32, BF16, FP16, CHANNELS_LAST, FUSED, FOREACH, ACTIVATION_CHECKPOINTING),
        BF16 + CHANNELS_LAST,
        Preset(clip_norm=0.1),
        pytest.param(COMBINED, marks=pytest.mark.slow),
    ],
    ids=lambda preset: preset.name,
)
def test_every_preset_computes_the_same(preset: Preset) -> None:
    step_parity(small(), preset, *batch_of(8, size=16)).require(preset)


def half_as_much(scores: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(scores, labels) * (0.5 if scores.dtype == torch.bfloat16 else 1.0)


def other_direction(scores: Tensor, labels: Tensor) -> Tensor:
    loss = nn.functional.cross_entropy(scores, labels)
    if scores.dtype != torch.bfloat16:
        return loss
    return loss.detach() + (scores.float() ** 2).mean() - (scores.float().detach() ** 2).mean()


@pytest.mark.parametrize("planted", [half_as_much, other_direction])
def test_a_preset_that_computes_something_else_is_refused(planted: object) -> None:
    found = step_parity(small(), BF16, *batch_of(8, size=16), loss=planted)  # type: ignore[arg-type]
    with pytest.raises(ParityError, match=r"bf16: loss off by .*not timed"):
        found.require(BF16)


def test_the_model_given_is_left_alone() -> None:
    model = small()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    step_parity(model, BF16, *batch_of(8, size=16))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(one.grad is None for one in model.parameters())
