"""TensorRT in float16, on a GPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from perfsuite.errors import UsageError
from perfsuite.training.inference.runtimes.base import ExportRuntime, InferenceFunction


def build_tensorrt(model: nn.Module, example: Tensor) -> InferenceFunction:
    import torch_tensorrt

    if not example.is_cuda:
        raise UsageError(
            f"export: tensorrt got images on {example.device.type}, expected images and model on a GPU; "
            "use --device cuda"
        )
    compiled: InferenceFunction = torch_tensorrt.compile(
        model, inputs=[example], enabled_precisions={torch.float16}
    )
    return compiled


RUNTIME = ExportRuntime(
    name="tensorrt", build=build_tensorrt, tolerance=2e-2, same_top1=0.98, extra="tensorrt"
)
