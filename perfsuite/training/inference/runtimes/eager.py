"""The model itself, as the reference."""

from __future__ import annotations

from torch import Tensor, nn

from perfsuite.training.inference.runtimes.base import ExportRuntime, InferenceFunction


def build_eager(model: nn.Module, example: Tensor) -> InferenceFunction:
    return model


RUNTIME = ExportRuntime(name="eager", build=build_eager, tolerance=0.0)
