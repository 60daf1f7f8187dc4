"""Errors for runs that learn nothing more: only skipped steps, or weights that are not finite."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from perfsuite.training.run.loss_meter import BadLossError
from perfsuite.training.step.finite import first_nonfinite_gradient
from perfsuite.training.step.step import TrainingStep


def check_steps_are_taken(
    step: TrainingStep, model: nn.Module, *, steps_done: int, steps: int, max_in_a_row: int
) -> None:
    """Raise BadLossError after `max_in_a_row` skipped steps, or after a run that skipped all."""
    if step.skipped_in_a_row >= max_in_a_row:
        found, expected = f"{step.skipped_in_a_row} steps in a row were skipped", f"fewer than {max_in_a_row}"
    elif steps_done == steps == step.steps_skipped:
        found, expected = f"all {steps} steps were skipped", "a step that learns"
    else:
        return
    name = first_nonfinite_gradient(model)
    example = f" (now the gradient of {name})" if name else ""
    raise BadLossError(
        f"train: {found} until step {steps_done}, because a loss or gradient was NaN or infinite{example}, "
        f"expected {expected}; lower the learning rate, or inspect the data and the model"
    )


def check_finite_weights(weights: Mapping[str, Tensor], steps_done: int) -> None:
    """Raise BadLossError if a gradient made a weight NaN or infinite although each loss was finite."""
    floats = {name: weight for name, weight in weights.items() if weight.is_floating_point()}
    finite = torch.stack([weight.isfinite().all() for weight in floats.values()]).tolist()
    bad = [name for name, is_finite in zip(floats, finite, strict=True) if not is_finite]
    if bad:
        raise BadLossError(
            f"train: {bad[0]} is NaN or infinite after step {steps_done}, expected finite weights; "
            "nothing was saved; lower the learning rate, or skip such steps (--on-nonfinite-loss skip)"
        )
