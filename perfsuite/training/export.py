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
from perfsuite.training.fold import folded
from perfsuite.training.presets import IEEE

Answer = Callable[[Tensor], Tensor]


class ParityError(PerfsuiteError):
    """A variant that is faster or slower at something else: its answers differ."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a variant's scores are from the reference's."""

    relative_difference: float  # the largest, over the reference's largest score
    same_answers: float  # share of pictures whose likeliest class is the same
    pictures: int

    def require(self, name: str, tolerance: float, same_answers: float = 1.0) -> None:
        if not (self.relative_difference <= tolerance and self.same_answers >= same_answers):
            raise ParityError(
                f"{name}: scores differ by {self.relative_difference:.1%} of the largest and "
                f"{self.same_answers:.1%} of {self.pictures} answers are the same, expected at most "
                f"{tolerance:.1%} and at least {same_answers:.0%}; not timed"
            )


def agreement(reference: Answer, candidate: Answer, batches: Sequence[Tensor]) -> Agreement:
    """Compare two variants on the same pictures.

    >>> agreement(lambda x: x, lambda x: x * 1.01, [torch.eye(3)]).same_answers
    1.0
    """
    # Without TF32, whose rounding on a GPU is coarser than what is to be found.
    with torch.inference_mode(), IEEE.matmul_precision():
        expected = torch.cat([reference(batch).float().cpu() for batch in batches])
        found = torch.cat([candidate(batch).float().cpu() for batch in batches])
    if expected.shape != found.shape:
        return Agreement(float("inf"), 0.0, len(expected))
    largest = (found - expected).abs().max() / expected.abs().max().clamp_min(1e-12)
    # NaN compares as unequal to everything: an answer of NaN agrees with nothing.
    same = (expected.argmax(1) == found.argmax(1)) & found.isfinite().all(1)
    return Agreement(largest.item(), same.float().mean().item(), len(expected))


@dataclass(frozen=True, slots=True)
class Runtime:
    """A way to run a trained model; its tolerance is what its arithmetic can promise."""

    make: Callable[[nn.Module, Tensor], Answer]
    tolerance: float
    same_answers: float = 1.0
    needs: str | None = None  # the extra that installs it


def export(name: str, model: nn.Module, example: Tensor) -> Answer:
    """`model` for the runtime of that name, checked against the model itself on `example`'s pictures."""
    if name not in RUNTIMES:
        raise UsageError(f"export: {name!r} is not known, expected {', '.join(RUNTIMES)}")
    runtime = RUNTIMES[name]
    if model.training:
        raise UsageError(
            "export: the model is in training mode, where BatchNorm depends on the batch; call eval()"
        )
    try:
        answer = runtime.make(model, example)
    except ImportError as error:
        raise UsageError(
            f"export: {name} needs {error.name}; pip install 'perfsuite[{runtime.needs}]'"
        ) from error
    found = agreement(model, answer, [example, example[:1]])
    found.require(name, runtime.tolerance, runtime.same_answers)
    return answer


def _eager(model: nn.Module, example: Tensor) -> Answer:
    return model


def _compiled(model: nn.Module, example: Tensor) -> Answer:
    compiled: Answer = torch.compile(model, dynamic=False)
    return compiled


def _torch_export(model: nn.Module, example: Tensor) -> Answer:
    batch = torch.export.Dim("batch")
    program = torch.export.export(model, (example,), dynamic_shapes=({0: batch},))
    exported: Answer = program.module()
    return exported


def _torchscript(model: nn.Module, example: Tensor) -> Answer:
    with _quiet("torch.jit"):
        frozen: Answer = torch.jit.freeze(torch.jit.trace(model, example))  # type: ignore[no-untyped-call]
    return frozen


def _onnxruntime(model: nn.Module, example: Tensor) -> Answer:
    with TemporaryDirectory() as folder:
        return _session(_onnx_file(model, example, Path(folder)))


def _onnxruntime_int8(model: nn.Module, example: Tensor) -> Answer:
    """Static, convolutions too: the ranges are those that `example`'s pictures show."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    def quantise(plain: str, small: str) -> None:
        quantize_static(
            plain,
            small,
            _Calibration(example),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )

    return _quantised(model, example, quantise)


def _onnxruntime_int8_dynamic(model: nn.Module, example: Tensor) -> Answer:
    """Ranges are taken of each batch as it comes: nothing to calibrate, and more to do at every call."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    def quantise(plain: str, small: str) -> None:
        # Unsigned weights: ONNX Runtime has no kernel for convolutions with signed ones.
        quantize_dynamic(plain, small, weight_type=QuantType.QUInt8)

    return _quantised(model, example, quantise)


def _quantised(model: nn.Module, example: Tensor, quantise: Callable[[str, str], None]) -> Answer:
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with TemporaryDirectory() as name:
        folder = Path(name)
        plain = _onnx_file(folded(model), example, folder)
        prepared, small = folder / "prepared.onnx", folder / "int8.onnx"
        quant_pre_process(str(plain), str(prepared))
        quantise(str(prepared), str(small))
        return _session(small)


def _tensorrt(model: nn.Module, example: Tensor) -> Answer:
    import torch_tensorrt

    if not example.is_cuda:
        raise UsageError("export: tensorrt needs pictures and model on a GPU; use --device cuda")
    built: Answer = torch_tensorrt.compile(model, inputs=[example], enabled_precisions={torch.float16})
    return built


# Rounding alone for float32; eight bits keep about a hundredth of the range in each layer.
RUNTIMES = {
    "eager": Runtime(_eager, 0.0),
    "folded": Runtime(lambda model, example: folded(model), 1e-4),
    "compiled": Runtime(_compiled, 1e-4),
    "torch.export": Runtime(_torch_export, 1e-4),
    "torchscript": Runtime(_torchscript, 1e-4),  # legacy: deprecated by torch itself
    "onnxruntime": Runtime(_onnxruntime, 1e-4, needs="export"),
    "onnxruntime-int8": Runtime(_onnxruntime_int8, 0.15, same_answers=0.9, needs="export"),
    "onnxruntime-int8-dynamic": Runtime(_onnxruntime_int8_dynamic, 0.15, same_answers=0.9, needs="export"),
    "tensorrt": Runtime(_tensorrt, 2e-2, same_answers=0.98, needs="tensorrt"),
}


class _Calibration:
    """Pictures for ONNX Runtime to take ranges from: one call gives one batch, None ends them."""

    def __init__(self, example: Tensor) -> None:
        self._batches = iter([{"images": example.numpy()}])

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)


def _onnx_file(model: nn.Module, example: Tensor, folder: Path) -> Path:
    import onnx  # noqa: F401 - said by name when it is missing, before minutes are spent
    import onnxscript  # noqa: F401

    if example.is_cuda:
        raise UsageError("export: ONNX Runtime is given the CPU here, pictures and model on a GPU; move them")
    batch = torch.export.Dim("batch")
    path = folder / "model.onnx"
    with _quiet("torch.onnx"):
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


def _session(path: Path) -> Answer:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()  # as many as the others have
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])

    def answer(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])

    return answer


@contextmanager
def _quiet(about: str) -> Iterator[None]:
    """Deprecations inside the exporters themselves are not the caller's to mend."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module=about.replace(".", r"\."))
        yield
