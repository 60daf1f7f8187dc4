"""ONNX Runtime with static 8-bit quantization of convolutions and linear layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor, nn

from perfsuite.training.inference.folding import fold_batchnorm
from perfsuite.training.inference.runtimes.base import ExportRuntime, InferenceFunction
from perfsuite.training.inference.runtimes.onnxruntime_float32 import export_onnx, load_onnx

# Eight bits resolve about a hundredth of each layer's range.
INT8_TOLERANCE = 0.15
INT8_SAME_TOP1 = 0.9


def build_onnxruntime_int8(model: nn.Module, example: Tensor) -> InferenceFunction:
    """Quantize with the activation ranges of `example`'s images."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    def quantize(source: str, target: str) -> None:
        quantize_static(
            source,
            target,
            _CalibrationReader(example),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )

    return quantize_and_load(model, example, quantize)


def quantize_and_load(
    model: nn.Module, example: Tensor, quantize: Callable[[str, str], None]
) -> InferenceFunction:
    """Export `model`, let `quantize` read one ONNX file and write another, and load the second."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with TemporaryDirectory() as name:
        folder = Path(name)
        exported = export_onnx(fold_batchnorm(model), example, folder)
        prepared, quantized = folder / "prepared.onnx", folder / "int8.onnx"
        quant_pre_process(str(exported), str(prepared))
        quantize(str(prepared), str(quantized))
        return load_onnx(quantized)


class _CalibrationReader:
    """The images that ONNX Runtime takes ranges from: one batch per call, then None."""

    def __init__(self, example: Tensor) -> None:
        self._batches = iter([{"images": example.numpy()}])

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)


RUNTIME = ExportRuntime(
    name="onnxruntime-int8",
    build=build_onnxruntime_int8,
    tolerance=INT8_TOLERANCE,
    same_top1=INT8_SAME_TOP1,
    extra="export",
)
