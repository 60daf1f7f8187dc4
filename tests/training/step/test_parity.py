from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from perfsuite.errors import ParityError
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
from perfsuite.training.step.step import LossFunction
from tests.training.tiny_models import random_batch


def small_model() -> nn.Module:
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
    step_parity(small_model(), preset, *random_batch(8, size=16)).require(preset)


def half_the_loss_in_bf16(scores: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(scores, labels) * (0.5 if scores.dtype == torch.bfloat16 else 1.0)


def other_gradients_in_bf16(scores: Tensor, labels: Tensor) -> Tensor:
    loss = nn.functional.cross_entropy(scores, labels)
    if scores.dtype != torch.bfloat16:
        return loss
    return loss.detach() + (scores.float() ** 2).mean() - (scores.float().detach() ** 2).mean()


@pytest.mark.parametrize("loss", [half_the_loss_in_bf16, other_gradients_in_bf16])
def test_a_preset_that_computes_something_else_is_refused(loss: LossFunction) -> None:
    parity = step_parity(small_model(), BF16, *random_batch(8, size=16), loss=loss)
    with pytest.raises(ParityError, match=r"bf16: loss off by .*not timed"):
        parity.require(BF16)


def test_the_compared_model_stays_unchanged() -> None:
    model = small_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    step_parity(model, BF16, *random_batch(8, size=16))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
