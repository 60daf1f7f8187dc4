"""ONNX Runtime with dynamic 8-bit quantization: uncalibrated; each call computes the ranges of its batch."""

from __future__ import annotations

from torch import Tensor, nn

from perfsuite.training.inference.runtimes.base import ExportRuntime, InferenceFunction
from perfsuite.training.inference.runtimes.onnxruntime_int8 import (
    INT8_SAME_TOP1,
    INT8_TOLERANCE,
    quantize_and_load,
)


def build_onnxruntime_int8_dynamic(model: nn.Module, example: Tensor) -> InferenceFunction:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    def quantize(source: str, target: str) -> None:
        # Unsigned weights: ONNX Runtime has no kernel for convolutions with signed ones.
        quantize_dynamic(source, target, weight_type=QuantType.QUInt8)

    return quantize_and_load(model, example, quantize)


RUNTIME = ExportRuntime(
    name="onnxruntime-int8-dynamic",
    build=build_onnxruntime_int8_dynamic,
    tolerance=INT8_TOLERANCE,
    same_top1=INT8_SAME_TOP1,
    extra="export",
)
