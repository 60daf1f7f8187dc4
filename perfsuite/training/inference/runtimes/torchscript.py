"""TorchScript, traced and frozen; legacy, because torch itself deprecates it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from perfsuite.training.inference.runtimes.base import (
    ExportRuntime,
    InferenceFunction,
    ignore_exporter_warnings,
)


def build_torchscript(model: nn.Module, example: Tensor) -> InferenceFunction:
    with ignore_exporter_warnings("torch.jit"):
        frozen: InferenceFunction = torch.jit.freeze(torch.jit.trace(model, example))  # type: ignore[no-untyped-call]
    return frozen


RUNTIME = ExportRuntime(name="torchscript", build=build_torchscript)
