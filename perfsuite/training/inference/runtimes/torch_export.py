"""torch.export, with a batch of any size."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from perfsuite.training.inference.runtimes.base import ExportRuntime, InferenceFunction


def build_torch_export(model: nn.Module, example: Tensor) -> InferenceFunction:
    batch = torch.export.Dim("batch")
    program = torch.export.export(model, (example,), dynamic_shapes=({0: batch},))
    module: InferenceFunction = program.module()
    return module


RUNTIME = ExportRuntime(name="torch.export", build=build_torch_export)
