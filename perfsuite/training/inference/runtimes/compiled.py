"""torch.compile, once per batch shape."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from perfsuite.training.inference.runtimes.base import ExportRuntime, InferenceFunction


def build_compiled(model: nn.Module, example: Tensor) -> InferenceFunction:
    compiled: InferenceFunction = torch.compile(model, dynamic=False)
    return compiled


RUNTIME = ExportRuntime(name="compiled", build=build_compiled)
