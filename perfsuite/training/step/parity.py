"""Whether a preset still computes the same: its loss and gradients against plain eager float32's."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from perfsuite.training.inference.export import ParityError
from perfsuite.training.step.presets import IEEE, Preset
from perfsuite.training.step.step import LossFunction, TrainingStep

# What a format's rounding adds up to over a ResNet's layers; a wrong formula is off by far more.
LOSS_TOLERANCE = {"float32": 1e-3, "ieee": 1e-4, "tf32": 1e-2, "bf16": 5e-2, "fp16": 2e-2}
MIN_GRADIENT_COSINE = {"float32": 0.9999, "ieee": 0.9999, "tf32": 0.999, "bf16": 0.95, "fp16": 0.98}


@dataclass(frozen=True, slots=True)
class StepParity:
    """How a preset's first step compares with the reference's, from the same weights and batch."""

    loss_difference: float  # relative
    gradient_cosine: float
    gradient_norm_ratio: float

    def require(self, preset: Preset) -> None:
        loss, cosine = LOSS_TOLERANCE[preset.precision], MIN_GRADIENT_COSINE[preset.precision]
        is_same = self.loss_difference <= loss and self.gradient_cosine >= cosine
        if not (is_same and abs(self.gradient_norm_ratio - 1) <= 1 - cosine + loss):
            raise ParityError(
                f"{preset.name}: loss off by {self.loss_difference:.2%}, gradients at a cosine of "
                f"{self.gradient_cosine:.5f} and {self.gradient_norm_ratio:.3f} times as long, expected "
                f"at most {loss:.2%} and at least {cosine}; not timed"
            )


def step_parity(
    model: nn.Module,
    preset: Preset,
    images: Tensor,
    labels: Tensor,
    loss: LossFunction = nn.functional.cross_entropy,
) -> StepParity:
    """One step of `preset` and one of the reference, on copies of `model`, which is left alone.

    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    >>> step_parity(model, IEEE, torch.ones(2, 3, 2, 2), torch.tensor([0, 1])).gradient_cosine
    1.0
    """
    # Clipping and the like change gradients on purpose; here it is the arithmetic that is compared.
    plain = replace(preset, clip_norm=None, accumulate=1)
    expected_loss, expected = _loss_and_gradients(model, IEEE, images, labels, loss)
    found_loss, found = _loss_and_gradients(model, plain, images, labels, loss)
    cosine = torch.dot(expected, found) / (expected.norm() * found.norm()).clamp_min(1e-300)
    return StepParity(
        loss_difference=abs(found_loss - expected_loss) / max(abs(expected_loss), 1e-12),
        gradient_cosine=min(1.0, round(cosine.item(), 12)),
        gradient_norm_ratio=(found.norm() / expected.norm()).item(),
    )


def _loss_and_gradients(
    model: nn.Module, preset: Preset, images: Tensor, labels: Tensor, loss: LossFunction
) -> tuple[float, Tensor]:
    own = copy.deepcopy(model)
    # Not the fused optimizer: fp16's scaler then unscales the gradients in place, as they are compared.
    optimizer = torch.optim.SGD(own.parameters(), lr=0.0, fused=False)
    step = TrainingStep(own, optimizer, preset, loss)
    found = step(images, labels).item()
    gradients = [one.grad.double().flatten().cpu() for one in own.parameters() if one.grad is not None]
    return found, torch.cat(gradients)
