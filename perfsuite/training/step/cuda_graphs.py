"""Forward and backward passes captured as CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from perfsuite.training.step.presets import Preset
from perfsuite.training.step.snapshot import without_side_effects


@dataclass(frozen=True, slots=True)
class CapturedStep:
    """Forward and backward of one batch shape, captured as CUDA graphs."""

    shapes: tuple[torch.Size, torch.Size]
    replay: Callable[[Tensor, Tensor], Tensor]  # images and labels to the loss

    @staticmethod
    def capture(
        model: nn.Module,
        loss: Callable[[Tensor, Tensor], Tensor],
        preset: Preset,
        images: Tensor,
        labels: Tensor,
    ) -> CapturedStep:
        """Capture `loss(model(images), labels)` and its backward pass."""
        dtype = preset.autocast_dtype
        # Capturing runs the model several times as warm-up; these runs must not change its statistics.
        with (
            without_side_effects(model),
            torch.autocast("cuda", dtype, dtype is not None, False),
        ):
            replay: Any = torch.cuda.make_graphed_callables(_ModelWithLoss(model, loss), (images, labels))
        return CapturedStep((images.shape, labels.shape), replay)

    def fits(self, images: Tensor, labels: Tensor) -> bool:
        """Whether the batch has the captured shape."""
        return self.shapes == (images.shape, labels.shape)


class _ModelWithLoss(nn.Module):
    """The model and its loss as one module, which is what torch can capture."""

    def __init__(self, model: nn.Module, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.loss(self.model(images), labels)
