"""The model with BatchNorm folded into its convolutions."""

from __future__ import annotations

from torch import Tensor, nn

from perfsuite.training.inference.folding import fold_batchnorm
from perfsuite.training.inference.runtimes.base import ExportRuntime, InferenceFunction


def build_folded(model: nn.Module, example: Tensor) -> InferenceFunction:
    return fold_batchnorm(model)


RUNTIME = ExportRuntime(name="folded", build=build_folded)
