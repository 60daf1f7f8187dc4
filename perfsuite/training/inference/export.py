"""Export of a trained model to a runtime, whose outputs are verified against the model's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from perfsuite.errors import ParityError, UsageError
from perfsuite.training.inference.runtimes.base import InferenceFunction
from perfsuite.training.inference.runtimes.registry import RUNTIMES
from perfsuite.training.step.presets import IEEE


@dataclass(frozen=True, slots=True)
class OutputAgreement:
    """How far a candidate's scores are from the reference's."""

    relative_difference: float  # the largest, over the reference's largest score
    same_top1: float  # fraction of images with the same likeliest class
    images: int

    def require(self, name: str, tolerance: float, same_top1: float = 1.0) -> None:
        """Raise ParityError if the scores differ by more than `tolerance`, or too few classes agree."""
        if not (self.relative_difference <= tolerance and self.same_top1 >= same_top1):
            raise ParityError(
                f"{name}: scores differ by {self.relative_difference:.1%} of the largest and "
                f"{self.same_top1:.1%} of {self.images} classes are the same, expected at most "
                f"{tolerance:.1%} and at least {same_top1:.0%}; not timed"
            )


def compare_outputs(
    reference: InferenceFunction, candidate: InferenceFunction, batches: Sequence[Tensor]
) -> OutputAgreement:
    """Compare the scores of two functions for the same images.

    >>> compare_outputs(lambda x: x, lambda x: x * 1.01, [torch.eye(3)]).same_top1
    1.0
    """
    # Without TF32: on a GPU its rounding is coarser than the differences to detect.
    with torch.inference_mode(), IEEE.matmul_precision():
        expected = torch.cat([reference(batch).float().cpu() for batch in batches])
        actual = torch.cat([candidate(batch).float().cpu() for batch in batches])
    if expected.shape != actual.shape:
        return OutputAgreement(float("inf"), 0.0, len(expected))
    largest = (actual - expected).abs().max() / expected.abs().max().clamp_min(1e-12)
    # A row with NaN has no likeliest class, although argmax returns one.
    same = (expected.argmax(1) == actual.argmax(1)) & actual.isfinite().all(1)
    return OutputAgreement(largest.item(), same.float().mean().item(), len(expected))


def export(name: str, model: nn.Module, example: Tensor) -> InferenceFunction:
    """Build `model` for the runtime `name`, and check its outputs on `example`'s images.

    The check runs the whole batch and its first image alone. Raises ParityError if the outputs differ by
    more than the runtime's tolerance.
    """
    if name not in RUNTIMES:
        raise UsageError(f"export: {name!r} is not known, expected {', '.join(RUNTIMES)}")
    runtime = RUNTIMES[name]
    if model.training:
        raise UsageError(
            "export: the model is in training mode, expected eval mode, where BatchNorm does not depend on "
            "the batch; call eval()"
        )
    try:
        infer = runtime.build(model, example)
    except ImportError as error:
        raise UsageError(
            f"export: {name} needs {error.name}; pip install 'perfsuite[{runtime.extra}]'"
        ) from error
    agreement = compare_outputs(model, infer, [example, example[:1]])
    agreement.require(name, runtime.tolerance, runtime.same_top1)
    return infer
