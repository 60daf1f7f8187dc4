"""Dispatch modes: callbacks for every operator that torch dispatches, the backward pass included."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchedOperator:
    """One operator that was dispatched, with its arguments and its result."""

    name: str  # "aten.add"
    overload: str  # "Tensor"
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """An argument given by position or by name."""
        return self.args[position] if len(self.args) > position else self.kwargs.get(name, default)


OperatorCallback = Callable[[DispatchedOperator], None]


def operator_callback_mode(on_operator: OperatorCallback) -> AbstractContextManager[Any]:
    """Call `on_operator` after every operator that is dispatched in the block.

    A compiled function runs as its eager operators here: Dynamo does nothing under a dispatch mode. Composite
    operators, which inference mode dispatches whole, are decomposed, so that the same code dispatches the
    same operators in every mode.
    """

    def dispatch(mode: Any, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        out = decompose(mode, func, args, kwargs)
        if out is not NotImplemented:
            return out
        out = func(*args, **kwargs)
        operator = DispatchedOperator(
            name=str(func.overloadpacket),
            overload=func._overloadname,
            args=args,
            kwargs=kwargs,
            result=out,
        )
        on_operator(operator)
        return out

    return dispatch_mode(dispatch)


def decompose(mode: Any, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a composite operator as its parts, each dispatched to `mode`; NotImplemented for any other."""
    import torch

    key = torch._C.DispatchKey.CompositeImplicitAutograd
    # Not `func.decompose`, which prefers decompositions in Python that torch does not run by itself.
    if not torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), key):
        return NotImplemented
    with mode:
        return func._op_dk(key, *args, **kwargs)


def dispatch_mode(dispatch: Callable[..., Any]) -> AbstractContextManager[Any]:
    """A dispatch mode that passes every operator to `dispatch(mode, func, args, kwargs)`."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class DispatchMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            # Otherwise torch imports its compiler at the first operator, which takes seconds.
            return "torch._dynamo" in sys.modules

        def __torch_dispatch__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            return dispatch(self, func, args, kwargs or {})

    mode: AbstractContextManager[Any] = DispatchMode()  # type: ignore[no-untyped-call]
    return mode


def tensors_in(value: Any) -> Iterator[Any]:
    """The tensors in a value: nested lists, tuples and mappings."""
    if hasattr(value, "untyped_storage"):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from tensors_in(each)
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))


def storages_in(value: Any) -> Iterator[Any]:
    """The storages of the tensors in a value. torch shows none of sparse tensors and of those of oneDNN."""
    for tensor in tensors_in(value):
        try:
            storage = tensor.untyped_storage()
        except NotImplementedError:
            continue
        yield storage


def count_operators(call: Callable[[], object]) -> dict[str, int]:
    """How often one call dispatches each operator, by name.

    >>> import torch
    >>> count_operators(lambda: torch.ones(2).add(1).add(1))
    {'aten.add': 2, 'aten.ones': 1}
    """
    counts: Counter[str] = Counter()

    def on_operator(operator: DispatchedOperator) -> None:
        counts[operator.name] += 1

    with operator_callback_mode(on_operator):
        call()
    return dict(sorted(counts.items()))
