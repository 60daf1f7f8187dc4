"""Bad gradients never reach the weights where a policy asks; without one nothing waits for the device."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perfsuite.training.step.finite import FiniteCheck, check_finite, first_nonfinite_gradient
from perfsuite.training.step.presets import EAGER, FP16, Preset
from perfsuite.training.step.step import TrainingStep
from tests.training.tiny_models import OperatorCounter, linear_model, norm_model, random_batch


class BadGradient(torch.autograd.Function):
    """The identity, whose gradient is `value`: the loss stays finite."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, value: float) -> Tensor:
        ctx.value = value
        return inputs.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return torch.full_like(gradient, ctx.value), None


class PoisonedModel(nn.Module):
    """A model whose gradients become `gradient` where that is set."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.gradient: float | None = None

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.model(images)
        if self.gradient is None:
            return scores
        poisoned: Tensor = BadGradient.apply(scores, self.gradient)
        return poisoned


def make_step(model: nn.Module, preset: Preset = EAGER, **options: Any) -> TrainingStep:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return TrainingStep(model, optimizer, preset, **options)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("preset", [EAGER, Preset(clip_norm=1.0), Preset(precision="bf16"), FP16])
def test_bad_gradients_of_a_finite_loss_change_nothing(bad: float, preset: Preset) -> None:
    model = PoisonedModel(norm_model())
    step = make_step(model, preset, skip_bad_loss=True)
    while step.steps_skipped or not step.optimizer.state:  # fp16 first lowers its scale
        step.steps_skipped = 0
        step(*random_batch(8))
    weights = copy.deepcopy(model.state_dict())
    momentum = copy.deepcopy(step.optimizer.state_dict()["state"])
    model.gradient = bad
    assert step(*random_batch(8)).isfinite()
    assert (step.steps_skipped, step.skipped_in_a_row) == (1, 1)
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name]), name
    for index, state in step.optimizer.state_dict()["state"].items():
        assert torch.equal(state["momentum_buffer"], momentum[index]["momentum_buffer"])
    model.gradient = None
    step(*random_batch(8))
    assert (step.steps_skipped, step.skipped_in_a_row) == (1, 0)


def test_without_a_policy_bad_gradients_reach_the_weights() -> None:
    """The negative control."""
    model = PoisonedModel(norm_model())
    model.gradient = math.nan
    make_step(model)(*random_batch(8))
    assert not all(parameter.isfinite().all() for parameter in model.parameters())


def test_skipping_takes_the_steps_that_the_plain_step_takes() -> None:
    first, second = norm_model(), norm_model()
    plain, skipping = make_step(first), make_step(second, skip_bad_loss=True)
    for seed in range(3):
        assert plain(*random_batch(8, seed=seed)) == skipping(*random_batch(8, seed=seed))
    assert all(map(torch.equal, first.parameters(), second.parameters()))


def test_large_finite_gradients_are_not_skipped() -> None:
    weight = nn.Parameter(torch.zeros(100))
    weight.grad = torch.full((100,), 3e38)  # the sum of their squares overflows
    assert check_finite(torch.tensor(1.0), [weight], nn.Identity()).passed


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("position", [0, 17, 99])
def test_one_bad_element_anywhere_is_found(bad: float, dtype: torch.dtype, position: int) -> None:
    good = nn.Parameter(torch.zeros(3))
    good.grad = torch.zeros(3)
    weight = nn.Parameter(torch.zeros(10, 10, dtype=dtype))
    weight.grad = torch.ones(10, 10, dtype=dtype)
    weight.grad.view(-1)[position] = bad
    without_gradient = nn.Parameter(torch.zeros(2))
    parameters = [good, weight, without_gradient]
    assert check_finite(torch.tensor(1.0), parameters, nn.Identity()) == FiniteCheck(True, False)
    model = nn.Module()
    model.good, model.weight = good, weight
    assert first_nonfinite_gradient(model) == "weight"


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_bad_loss_is_found_without_gradients(loss: float) -> None:
    assert check_finite(torch.tensor(loss), [], nn.Identity()) == FiniteCheck(False, True)
    assert check_finite(torch.tensor(1.0), [], nn.Identity()).passed


def test_fp16_lowers_its_scale_when_gradients_overflow_and_keeps_it_at_a_bad_loss() -> None:
    model = PoisonedModel(linear_model())
    step = make_step(model, FP16, skip_bad_loss=True)
    step(*random_batch(8))
    before = step.scaler.get_scale()
    images, labels = random_batch(8)
    step(images * math.nan, labels)
    assert step.scaler.get_scale() == before
    model.gradient = math.inf
    step(images, labels)
    assert step.scaler.get_scale() == before / 2


def test_only_the_policy_synchronizes_and_once_per_step() -> None:
    counts = {}
    for skip in (False, True):
        operators = OperatorCounter()
        step = make_step(norm_model(), skip_bad_loss=skip)
        step(*random_batch(8))
        with operators:
            step.accumulate([random_batch(8), random_batch(5)])
        counts[skip] = operators.host_syncs, operators.count["_foreach_norm"] > 0
    assert counts == {False: (0, False), True: (1, True)}


def test_skipped_and_accumulated_batches_count_as_one_step() -> None:
    model = PoisonedModel(norm_model())
    step = make_step(model, skip_bad_loss=True)
    model.gradient = math.nan
    step.accumulate([random_batch(4), random_batch(4)])
    assert step.steps_skipped == 1
