"""The claims about answering: runtimes in turns, after their answers were compared with the model's own."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING

from perfsuite.advise.claims.compile_cache import reset_compiler
from perfsuite.advise.claims.results import SpeedupRow
from perfsuite.advise.claims.training import speedup_rows
from perfsuite.advise.preset_search import time_in_turns
from perfsuite.errors import PerfsuiteError

if TYPE_CHECKING:
    from torch import Tensor, nn

Call = Callable[[], object]
COMPILED_RUNTIMES = ("compiled", "combined")


def compare_runtimes(
    model: nn.Module, images: Tensor, seconds: float, refused: dict[str, str]
) -> tuple[SpeedupRow, ...]:
    calls: dict[str, Call] = {}
    compiling: dict[str, float] = {}
    for name, make in _runtime_factories(model.eval(), images).items():
        reset_compiler()
        began = perf_counter()
        try:
            calls[name] = make()
        except PerfsuiteError as error:
            refused[name] = str(error)
            continue
        if name in COMPILED_RUNTIMES:
            compiling[name] = perf_counter() - began
    model.train()
    turns = time_in_turns(calls, items=len(images), seconds=seconds, device=str(images.device))
    return speedup_rows(turns, compiling)


def _runtime_factories(ready: nn.Module, images: Tensor) -> dict[str, Callable[[], Call]]:
    import copy

    import torch

    from perfsuite.training.inference.export import compare_outputs, export
    from perfsuite.training.inference.folding import fold_batchnorm

    ready = copy.deepcopy(ready)  # the caller's goes back to training
    last = images.contiguous(memory_format=torch.channels_last)

    def runtime(name: str) -> Callable[[], Call]:
        return lambda: _inference_call(export(name, ready, images), images)

    def combined() -> Call:
        fast = torch.compile(fold_batchnorm(ready).to(memory_format=torch.channels_last))
        compare_outputs(ready, fast, [last]).require("combined", 1e-3)
        return _inference_call(fast, last)

    def channels_last() -> Call:
        return _inference_call(fold_batchnorm(ready).to(memory_format=torch.channels_last), last)

    return {
        "eager": lambda: _inference_call(ready, images),
        "folded": runtime("folded"),
        "folded, channels_last": channels_last,
        "compiled": runtime("compiled"),
        "combined": combined,
        "torch.export": runtime("torch.export"),
        "TorchScript (legacy)": runtime("torchscript"),
        "ONNX Runtime": runtime("onnxruntime"),
        "ONNX Runtime, int8 static": runtime("onnxruntime-int8"),
        "ONNX Runtime, int8 dynamic": runtime("onnxruntime-int8-dynamic"),
        "TensorRT": runtime("tensorrt"),
    }


def _inference_call(answer: Callable[[Tensor], Tensor], images: Tensor) -> Call:
    import torch

    def call() -> object:
        with torch.inference_mode():
            return answer(images)

    return call
