"""Numerical parity: a preset's loss and gradients against those of plain eager float32."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from perfsuite.errors import ParityError
from perfsuite.training.step.presets import IEEE, Preset
from perfsuite.training.step.step import LossFunction, TrainingStep

# The rounding of each format, accumulated over a ResNet's layers; a wrong formula exceeds it by far.
LOSS_TOLERANCE = {"float32": 1e-3, "ieee": 1e-4, "tf32": 1e-2, "bf16": 5e-2, "fp16": 2e-2}
MIN_GRADIENT_COSINE = {"float32": 0.9999, "ieee": 0.9999, "tf32": 0.999, "bf16": 0.95, "fp16": 0.98}


@dataclass(frozen=True, slots=True)
class StepParity:
    """How a preset's first step compares with the reference's, from the same weights and batch."""

    loss_difference: float  # relative
    gradient_cosine: float
    gradient_norm_ratio: float

    def require(self, preset: Preset) -> None:
        """Raise ParityError if the differences exceed what the preset's precision explains."""
        loss, cosine = LOSS_TOLERANCE[preset.precision], MIN_GRADIENT_COSINE[preset.precision]
        is_same = self.loss_difference <= loss and self.gradient_cosine >= cosine
        if not (is_same and abs(self.gradient_norm_ratio - 1) <= 1 - cosine + loss):
            raise ParityError(
                f"{preset.name}: loss off by {self.loss_difference:.2%}, gradient cosine "
                f"{self.gradient_cosine:.5f}, gradient norm ratio {self.gradient_norm_ratio:.3f}; expected "
                f"at most {loss:.2%}, at least {cosine}, and 1 +- {1 - cosine + loss:.3f}; not timed"
            )


def step_parity(
    model: nn.Module,
    preset: Preset,
    images: Tensor,
    labels: Tensor,
    loss: LossFunction = nn.functional.cross_entropy,
) -> StepParity:
    """Run one step of `preset` and one of the reference on copies of `model`, and compare them.

    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    >>> step_parity(model, IEEE, torch.ones(2, 3, 2, 2), torch.tensor([0, 1])).gradient_cosine
    1.0
    """
    # Clipping and accumulation change gradients on purpose; only the arithmetic is compared.
    arithmetic_only = replace(preset, clip_norm=None, accumulate=1)
    expected_loss, expected = _loss_and_gradients(model, IEEE, images, labels, loss)
    actual_loss, actual = _loss_and_gradients(model, arithmetic_only, images, labels, loss)
    cosine = torch.dot(expected, actual) / (expected.norm() * actual.norm()).clamp_min(1e-300)
    return StepParity(
        loss_difference=abs(actual_loss - expected_loss) / max(abs(expected_loss), 1e-12),
        gradient_cosine=min(1.0, round(cosine.item(), 12)),
        gradient_norm_ratio=(actual.norm() / expected.norm()).item(),
    )


def _loss_and_gradients(
    model: nn.Module, preset: Preset, images: Tensor, labels: Tensor, loss: LossFunction
) -> tuple[float, Tensor]:
    model = copy.deepcopy(model)
    # Not the fused optimizer: fp16's scaler leaves unscaling to it, and the gradients would stay scaled.
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, fused=False)
    step = TrainingStep(model, optimizer, preset, loss)
    loss_value = step(images, labels).item()
    gradients = [
        parameter.grad.double().flatten().cpu()
        for parameter in model.parameters()
        if parameter.grad is not None
    ]
    return loss_value, torch.cat(gradients)
