"""The claims about answering: runtimes in turns, after their answers were compared with the model's own."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING

from perfsuite.advise.claims import Row
from perfsuite.advise.claims_training import table
from perfsuite.advise.fastest import in_turns
from perfsuite.advise.nothing_compiled import forget_compiled
from perfsuite.errors import PerfsuiteError

if TYPE_CHECKING:
    from torch import Tensor, nn

Call = Callable[[], object]
COMPILING = ("compiled", "combined")


def runtimes(model: nn.Module, images: Tensor, seconds: float, refused: dict[str, str]) -> tuple[Row, ...]:
    calls: dict[str, Call] = {}
    compiling: dict[str, float] = {}
    for name, make in _answering(model.eval(), images).items():
        forget_compiled()
        began = perf_counter()
        try:
            calls[name] = make()
        except PerfsuiteError as error:
            refused[name] = str(error)
            continue
        if name in COMPILING:
            compiling[name] = perf_counter() - began
    model.train()
    turns = in_turns(calls, items=len(images), seconds=seconds, device=str(images.device))
    return table(turns, compiling)


def _answering(ready: nn.Module, images: Tensor) -> dict[str, Callable[[], Call]]:
    import copy

    import torch

    from perfsuite.training.export import agreement, export
    from perfsuite.training.fold import folded

    ready = copy.deepcopy(ready)  # the caller's goes back to training
    last = images.contiguous(memory_format=torch.channels_last)

    def runtime(name: str) -> Callable[[], Call]:
        return lambda: _without_gradients(export(name, ready, images), images)

    def combined() -> Call:
        fast = torch.compile(folded(ready).to(memory_format=torch.channels_last))
        agreement(ready, fast, [last]).require("combined", 1e-3)
        return _without_gradients(fast, last)

    def channels_last() -> Call:
        return _without_gradients(folded(ready).to(memory_format=torch.channels_last), last)

    return {
        "eager": lambda: _without_gradients(ready, images),
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


def _without_gradients(answer: Callable[[Tensor], Tensor], images: Tensor) -> Call:
    import torch

    def call() -> object:
        with torch.inference_mode():
            return answer(images)

    return call
