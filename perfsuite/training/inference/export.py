"""A trained model for other runtimes, each checked for equal answers before anyone times it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from perfsuite.errors import PerfsuiteError, UsageError
from perfsuite.training.inference.folding import fold_batchnorm
from perfsuite.training.step.presets import IEEE

InferenceFunction = Callable[[Tensor], Tensor]


class ParityError(PerfsuiteError):
    """A variant that is faster or slower at something else: its answers differ."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class OutputAgreement:
    """How far a variant's scores are from the reference's."""

    relative_difference: float  # the largest, over the reference's largest score
    same_top1: float  # share of images whose likeliest class is the same
    images: int

    def require(self, name: str, tolerance: float, same_answers: float = 1.0) -> None:
        if not (self.relative_difference <= tolerance and self.same_top1 >= same_answers):
            raise ParityError(
                f"{name}: scores differ by {self.relative_difference:.1%} of the largest and "
                f"{self.same_top1:.1%} of {self.images} answers are the same, expected at most "
                f"{tolerance:.1%} and at least {same_answers:.0%}; not timed"
            )


def compare_outputs(
    reference: InferenceFunction, candidate: InferenceFunction, batches: Sequence[Tensor]
) -> OutputAgreement:
    """Compare two variants on the same images.

    >>> compare_outputs(lambda x: x, lambda x: x * 1.01, [torch.eye(3)]).same_top1
    1.0
    """
    # Without TF32, whose rounding on a GPU is coarser than what is to be found.
    with torch.inference_mode(), IEEE.matmul_precision():
        expected = torch.cat([reference(batch).float().cpu() for batch in batches])
        found = torch.cat([candidate(batch).float().cpu() for batch in batches])
    if expected.shape != found.shape:
        return OutputAgreement(float("inf"), 0.0, len(expected))
    largest = (found - expected).abs().max() / expected.abs().max().clamp_min(1e-12)
    # NaN compares as unequal to everything: an answer of NaN agrees with nothing.
    same = (expected.argmax(1) == found.argmax(1)) & found.isfinite().all(1)
    return OutputAgreement(largest.item(), same.float().mean().item(), len(expected))


@dataclass(frozen=True, slots=True)
class ExportRuntime:
    """A way to run a trained model; its tolerance is what its arithmetic can promise."""

    build: Callable[[nn.Module, Tensor], InferenceFunction]
    tolerance: float
    same_top1: float = 1.0
    extra: str | None = None  # the extra that installs it


def export(name: str, model: nn.Module, example: Tensor) -> InferenceFunction:
    """`model` for the runtime of that name, checked against the model itself on `example`'s images."""
    if name not in RUNTIMES:
        raise UsageError(f"export: {name!r} is not known, expected {', '.join(RUNTIMES)}")
    runtime = RUNTIMES[name]
    if model.training:
        raise UsageError(
            "export: the model is in training mode, where BatchNorm depends on the batch; call eval()"
        )
    try:
        answer = runtime.build(model, example)
    except ImportError as error:
        raise UsageError(
            f"export: {name} needs {error.name}; pip install 'perfsuite[{runtime.extra}]'"
        ) from error
    found = compare_outputs(model, answer, [example, example[:1]])
    found.require(name, runtime.tolerance, runtime.same_top1)
    return answer


def _eager(model: nn.Module, example: Tensor) -> InferenceFunction:
    return model


def _compiled(model: nn.Module, example: Tensor) -> InferenceFunction:
    compiled: InferenceFunction = torch.compile(model, dynamic=False)
    return compiled


def _torch_export(model: nn.Module, example: Tensor) -> InferenceFunction:
    batch = torch.export.Dim("batch")
    program = torch.export.export(model, (example,), dynamic_shapes=({0: batch},))
    exported: InferenceFunction = program.module()
    return exported


def _torchscript(model: nn.Module, example: Tensor) -> InferenceFunction:
    with _ignore_exporter_warnings("torch.jit"):
        frozen: InferenceFunction = torch.jit.freeze(torch.jit.trace(model, example))  # type: ignore[no-untyped-call]
    return frozen


def _onnxruntime(model: nn.Module, example: Tensor) -> InferenceFunction:
    with TemporaryDirectory() as folder:
        return _onnx_inference(_export_onnx(model, example, Path(folder)))


def _onnxruntime_int8(model: nn.Module, example: Tensor) -> InferenceFunction:
    """Static, convolutions too: the ranges are those that `example`'s images show."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    def quantize(plain: str, small: str) -> None:
        quantize_static(
            plain,
            small,
            _CalibrationReader(example),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )

    return _quantize_and_load(model, example, quantize)


def _onnxruntime_int8_dynamic(model: nn.Module, example: Tensor) -> InferenceFunction:
    """Ranges are taken of each batch as it comes: nothing to calibrate, and more to do at every call."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    def quantize(plain: str, small: str) -> None:
        # Unsigned weights: ONNX Runtime has no kernel for convolutions with signed ones.
        quantize_dynamic(plain, small, weight_type=QuantType.QUInt8)

    return _quantize_and_load(model, example, quantize)


def _quantize_and_load(
    model: nn.Module, example: Tensor, quantize: Callable[[str, str], None]
) -> InferenceFunction:
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with TemporaryDirectory() as name:
        folder = Path(name)
        plain = _export_onnx(fold_batchnorm(model), example, folder)
        prepared, small = folder / "prepared.onnx", folder / "int8.onnx"
        quant_pre_process(str(plain), str(prepared))
        quantize(str(prepared), str(small))
        return _onnx_inference(small)


def _tensorrt(model: nn.Module, example: Tensor) -> InferenceFunction:
    import torch_tensorrt

    if not example.is_cuda:
        raise UsageError("export: tensorrt needs images and model on a GPU; use --device cuda")
    built: InferenceFunction = torch_tensorrt.compile(
        model, inputs=[example], enabled_precisions={torch.float16}
    )
    return built


# Rounding alone for float32; eight bits keep about a hundredth of the range in each layer.
RUNTIMES = {
    "eager": ExportRuntime(_eager, 0.0),
    "folded": ExportRuntime(lambda model, example: fold_batchnorm(model), 1e-4),
    "compiled": ExportRuntime(_compiled, 1e-4),
    "torch.export": ExportRuntime(_torch_export, 1e-4),
    "torchscript": ExportRuntime(_torchscript, 1e-4),  # legacy: deprecated by torch itself
    "onnxruntime": ExportRuntime(_onnxruntime, 1e-4, extra="export"),
    "onnxruntime-int8": ExportRuntime(_onnxruntime_int8, 0.15, same_top1=0.9, extra="export"),
    "onnxruntime-int8-dynamic": ExportRuntime(_onnxruntime_int8_dynamic, 0.15, same_top1=0.9, extra="export"),
    "tensorrt": ExportRuntime(_tensorrt, 2e-2, same_top1=0.98, extra="tensorrt"),
}


class _CalibrationReader:
    """Images for ONNX Runtime to take ranges from: one call gives one batch, None ends them."""

    def __init__(self, example: Tensor) -> None:
        self._batches = iter([{"images": example.numpy()}])

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)


def _export_onnx(model: nn.Module, example: Tensor, folder: Path) -> Path:
    import onnx  # noqa: F401 - said by name when it is missing, before minutes are spent
    import onnxscript  # noqa: F401

    if example.is_cuda:
        raise UsageError("export: ONNX Runtime is given the CPU here, images and model on a GPU; move them")
    batch = torch.export.Dim("batch")
    path = folder / "model.onnx"
    with _ignore_exporter_warnings("torch.onnx"):
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


def _onnx_inference(path: Path) -> InferenceFunction:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()  # as many as the others have
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])

    def answer(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])

    return answer


@contextmanager
def _ignore_exporter_warnings(about: str) -> Iterator[None]:
    """Deprecations inside the exporters themselves are not the caller's to mend."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module=about.replace(".", r"\."))
        yield
