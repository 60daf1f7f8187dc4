"""Operators that torch dispatches: all of them, copies and casts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from perfsuite.measure.counters.family import CounterFamily, Counts, Level, Scope, less_is_better
from perfsuite.measure.counters.torch_dispatch import DispatchedOperator, operator_callback_mode, tensors_in

_COPIES = {"aten.clone", "aten.copy_", "aten._to_copy"}
_DECODE_PREFIXES = ("image.decode_", "torchcodec_ns.decode_")
_NAMES = (
    *("dispatched_ops", "casts", "copies", "copied_bytes", "layout_copies"),
    *("device_copies", "device_copied_bytes"),
)


class _OperatorCounter:
    """Counts operators, and notes whether autograd records any of them."""

    def __init__(self, counts: Counts, is_grad_enabled: Callable[[], bool]) -> None:
        self._counts = counts
        self._is_grad_enabled = is_grad_enabled

    def on_operator(self, operator: DispatchedOperator) -> None:
        self._counts["dispatched_ops"] += 1
        if not self._counts.records_gradients and self._is_grad_enabled():
            self._counts.records_gradients = any(
                tensor.requires_grad for tensor in tensors_in((operator.args, operator.kwargs))
            )
        if operator.name.startswith(_DECODE_PREFIXES):
            data = operator.args[0]
            self._counts["decoded_images"] += len(data) if isinstance(data, list) else 1
        if operator.name in _COPIES:
            _count_copy(self._counts, operator)


def _count_copy(counts: Counts, operator: DispatchedOperator) -> None:
    source = operator.args[1] if operator.name == "aten.copy_" else operator.args[0]
    out = operator.result
    if not hasattr(source, "dtype"):
        return
    size = out.numel() * out.element_size()
    counts["copies"] += 1
    counts["copied_bytes"] += size
    if source.dtype != out.dtype:
        counts["casts"] += 1
    elif source.device != out.device:
        counts["device_copies"] += 1
        counts["device_copied_bytes"] += size
    elif source.shape == out.shape and source.stride() != out.stride():
        counts["layout_copies"] += 1


@contextmanager
def _watch(counts: Counts) -> Iterator[None]:
    import torch

    with operator_callback_mode(_OperatorCounter(counts, torch.is_grad_enabled).on_operator):
        yield


FAMILY = CounterFamily(
    directions=less_is_better(*_NAMES),
    watch=_watch,
    needs_module="torch",
    level=Level.OPERATORS,
    scope=Scope.CALLING_THREAD,
    contributes_to=("decoded_images",),  # those of torchvision and torchcodec
)
