"""Measure the claims about inference: runtimes in turns, once their outputs agree with the model's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from perfsuite.advise.claims.compile_cache import reset_compiler
from perfsuite.advise.claims.variants import Call, VariantTimes, prepare_calls, speedup_rows, time_within
from perfsuite.advise.time_limit import TimeLimit

if TYPE_CHECKING:
    from torch import Tensor, nn

COMPILED_RUNTIMES = ("compiled", "combined")
FOLDED_TOLERANCE = 1e-3  # of the scores: another memory format and fused kernels add up in another order


def compare_runtimes(model: nn.Module, images: Tensor, limit: TimeLimit) -> VariantTimes:
    """Time each runtime against eager; one whose outputs differ, or that is missing, is rejected."""
    first_calls: dict[str, float] = {}

    def make(name: str, factory: Callable[[], Call]) -> Call:
        reset_compiler()
        begin = perf_counter()
        call = factory()
        if name in COMPILED_RUNTIMES:
            first_calls[name] = perf_counter() - begin
        return call

    factories = runtime_factories(model.eval(), images)
    names = sorted(factories, key=COMPILED_RUNTIMES.__contains__)
    try:
        prepared = prepare_calls({name: partial(make, name, factories[name]) for name in names}, limit)
        turns = time_within(limit, prepared.calls, len(images), str(images.device))
    finally:
        model.train()
    return VariantTimes(speedup_rows(turns, first_calls), prepared.rejected)


def runtime_factories(model: nn.Module, images: Tensor) -> dict[str, Callable[[], Call]]:
    """By name: what makes the runtime's call, and raises PerfsuiteError where its outputs are not eager's."""
    import copy

    import torch

    from perfsuite.training.inference.export import compare_outputs, export
    from perfsuite.training.inference.folding import fold_batchnorm

    model = copy.deepcopy(model)  # the caller trains the original again
    channels_last_images = images.contiguous(memory_format=torch.channels_last)

    def exported(name: str) -> Callable[[], Call]:
        return lambda: _inference_call(export(name, model, images), images)

    def folded(name: str, compile_: Callable[[nn.Module], Callable[[Tensor], Tensor]]) -> Callable[[], Call]:
        """Folded and in channels_last memory; a copy, because folding returns some models as they are."""

        def make() -> Call:
            predict = compile_(fold_batchnorm(copy.deepcopy(model)).to(memory_format=torch.channels_last))
            compare_outputs(model, predict, [channels_last_images]).require(name, FOLDED_TOLERANCE)
            return _inference_call(predict, channels_last_images)

        return make

    return {
        "eager": lambda: _inference_call(model, images),
        "folded": exported("folded"),
        "folded, channels_last": folded("folded, channels_last", lambda model: model),
        "compiled": exported("compiled"),
        "combined": folded("combined", torch.compile),
        "torch.export": exported("torch.export"),
        "TorchScript (legacy)": exported("torchscript"),
        "ONNX Runtime": exported("onnxruntime"),
        "ONNX Runtime, int8 static": exported("onnxruntime-int8"),
        "ONNX Runtime, int8 dynamic": exported("onnxruntime-int8-dynamic"),
        "TensorRT": exported("tensorrt"),
    }


def _inference_call(predict: Callable[[Tensor], Tensor], images: Tensor) -> Call:
    import torch

    def call() -> object:
        with torch.inference_mode():
            return predict(images)

    return call
