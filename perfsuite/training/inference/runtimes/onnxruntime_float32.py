"""ONNX Runtime on the CPU, in float32."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from perfsuite.errors import UsageError
from perfsuite.training.inference.runtimes.base import (
    ExportRuntime,
    InferenceFunction,
    ignore_exporter_warnings,
)


def build_onnxruntime(model: nn.Module, example: Tensor) -> InferenceFunction:
    with TemporaryDirectory() as folder:
        return load_onnx(export_onnx(model, example, Path(folder)))


def export_onnx(model: nn.Module, example: Tensor, folder: Path) -> Path:
    """Write `model` as an ONNX file into `folder`, for a batch of any size."""
    # The exporter takes minutes before it needs these; a missing one must be named at once.
    import onnx  # noqa: F401
    import onnxscript  # noqa: F401

    if example.is_cuda:
        raise UsageError(
            "export: ONNX Runtime got images on a GPU, expected images and model on the CPU; move them there"
        )
    batch = torch.export.Dim("batch")
    path = folder / "model.onnx"
    with ignore_exporter_warnings("torch.onnx"):
        torch.onnx.export(
            model,
            (example,),
            str(path),
            dynamo=True,
            input_names=["images"],
            output_names=["scores"],
            dynamic_shapes=({0: batch},),
            external_data=False,
            verbose=False,
        )
    return path


def load_onnx(path: Path) -> InferenceFunction:
    """Load an ONNX file for inference on the CPU, with as many threads as torch uses."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])

    def infer(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])

    return infer


RUNTIME = ExportRuntime(name="onnxruntime", build=build_onnxruntime, extra="export")
