"""Host synchronizations: calls in which the host waits for the device, or would if the tensors were on one.

A call counts once, however often it waits inside. The rules below say what CUDA needs; on the CPU they see
the same code. Three kinds of call are counted:

- operators whose result has a size or value that the host must know (`nonzero`, `item`, a boolean mask);
- calls of the Python API that read a tensor's memory: `tolist`, `numpy`, `cpu`, printing;
- copies from the device to pageable memory of the host.

A tensor that `cpu()` returned is in the memory of the host, and so is what is computed from it: reading it
counts no more. `x.to("cpu")` counts only where `x` is on a device, because on the CPU it cannot be told from
`x.to(device)`. Not seen: waits inside compiled extensions and other libraries, `torch.cuda.synchronize`, and
`torch.save` of a tensor on a device.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from perfsuite.measure.counters.family import CounterFamily, Counts, Level, Scope, less_is_better
from perfsuite.measure.counters.torch_dispatch import DispatchedOperator, operator_callback_mode, tensors_in

_ALWAYS = {
    *("aten._local_scalar_dense", "aten.item", "aten.is_nonzero", "aten.equal", "aten.allclose"),
    *("aten.nonzero", "aten.masked_select", "aten.bincount", "torchvision.nms"),
    *("aten._unique2", "aten.unique_dim", "aten.unique_consecutive", "aten._linalg_check_errors"),
}
_READS_OF_MEMORY = {"tolist", "numpy", "cpu", "__array__", "__repr__", "__format__"}  # of Tensor


def _waits(operator: DispatchedOperator) -> bool:
    rule = _RULES.get(operator.name)
    return operator.name in _ALWAYS or (rule is not None and rule(operator))


def _has_mask(operator: DispatchedOperator) -> bool:
    indices = operator.argument(1, "indices", ())
    return any(str(getattr(index, "dtype", "")) in ("torch.bool", "torch.uint8") for index in indices)


def _has_unknown_length(operator: DispatchedOperator) -> bool:
    return operator.overload == "Tensor" and operator.kwargs.get("output_size") is None


def _has_unknown_range(operator: DispatchedOperator) -> bool:
    return bool(operator.argument(2, "min", 0) == operator.argument(3, "max", 0))


def _checks_probabilities(operator: DispatchedOperator) -> bool:
    return not operator.argument(2, "replacement", False) or operator.argument(1, "num_samples") == 1


def _copies_to_host(operator: DispatchedOperator) -> bool:
    is_copy = operator.name == "aten.copy_"
    source, out = operator.args[1 if is_copy else 0], operator.result
    is_async = operator.argument(2, "non_blocking", False) if is_copy else operator.kwargs.get("non_blocking")
    from_device = getattr(source, "device", out.device).type != "cpu"
    return from_device and out.device.type == "cpu" and not is_async


_RULES: dict[str, Callable[[DispatchedOperator], bool]] = {
    "aten.index": _has_mask,
    "aten.index_put": _has_mask,
    "aten.index_put_": _has_mask,
    "aten.repeat_interleave": _has_unknown_length,
    "aten.histc": _has_unknown_range,
    "aten.multinomial": _checks_probabilities,
    "aten._to_copy": _copies_to_host,
    "aten.copy_": _copies_to_host,
}


class _HostTensors:
    """The tensors in the memory of the host: results of `cpu()`, and what is computed from them alone."""

    def __init__(self) -> None:
        self._references: dict[int, weakref.ref[Any]] = {}

    def add(self, tensor: Any) -> None:
        self._references[id(tensor)] = weakref.ref(tensor)

    def __contains__(self, tensor: Any) -> bool:
        reference = self._references.get(id(tensor))
        return reference is not None and reference() is tensor

    def contain_all(self, values: object) -> bool:
        tensors = list(tensors_in(values))
        return bool(tensors) and all(tensor in self for tensor in tensors)


class _SyncCounter:
    """Counts calls of the Python API first; the operators inside a counted call do not count again."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._host = _HostTensors()
        self._api_depth = 0

    def on_operator(self, operator: DispatchedOperator) -> None:
        is_on_host = self._host.contain_all(operator.args)
        if not self._api_depth and not is_on_host and _waits(operator):
            self._counts["host_syncs"] += 1
        if is_on_host:
            for tensor in tensors_in(operator.result):
                self._host.add(tensor)

    def on_function(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        number = self._syncs_of_function(func, args, kwargs)
        if number is None:
            return func(*args, **kwargs)
        self._counts["host_syncs"] += number
        self._api_depth += 1
        try:
            out = func(*args, **kwargs)
        finally:
            self._api_depth -= 1
        if getattr(func, "__name__", "") == "cpu":
            self._host.add(out)
        return out

    def _syncs_of_function(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int | None:
        """How often a call of the Python API waits; None leaves it to the operators that it dispatches."""
        import torch

        if func is torch.nn.functional.one_hot:  # on the CPU it checks the classes too, on CUDA it does not
            return int((args[1] if len(args) > 1 else kwargs.get("num_classes", -1)) == -1)
        if func is torch.tensor or func is torch.as_tensor:  # of a list of tensors: reads each of them
            data = args[0] if args else kwargs.get("data")
            is_list = isinstance(data, list | tuple)
            return sum(each not in self._host for each in tensors_in(data)) if is_list else None
        if getattr(func, "__name__", "") in _READS_OF_MEMORY and args and hasattr(args[0], "untyped_storage"):
            return int(args[0] not in self._host)
        return None


def _function_mode(on_function: Callable[..., Any]) -> AbstractContextManager[Any]:
    from torch.overrides import TorchFunctionMode

    class FunctionMode(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            return on_function(func, args, kwargs or {})

    mode: AbstractContextManager[Any] = FunctionMode()
    return mode


@contextmanager
def _watch(counts: Counts) -> Iterator[None]:
    counter = _SyncCounter(counts)
    with _function_mode(counter.on_function), operator_callback_mode(counter.on_operator):
        yield


FAMILY = CounterFamily(
    directions=less_is_better("host_syncs"),
    watch=_watch,
    needs_module="torch",
    level=Level.OPERATORS,
    scope=Scope.CALLING_THREAD,
)
