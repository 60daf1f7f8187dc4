"""Dispatch modes: callbacks for every operator that torch dispatches, the backward pass included."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

OperatorCallback = Callable[[str, tuple[Any, ...], Any], None]  # name, arguments, result


def operator_callback_mode(on_operator: OperatorCallback) -> AbstractContextManager[Any]:
    """Call `on_operator` after every operator that is dispatched in the block.

    A compiled function runs as its eager operators here: Dynamo does nothing under a dispatch mode.
    """

    def dispatch(mode: Any, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        out = func(*args, **kwargs)
        on_operator(str(func.overloadpacket), args, out)
        return out

    return dispatch_mode(dispatch)


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


def count_operators(call: Callable[[], object]) -> dict[str, int]:
    """How often one call dispatches each operator, by name.

    >>> import torch
    >>> count_operators(lambda: torch.ones(2).add(1).add(1))
    {'aten.add': 2, 'aten.ones': 1}
    """
    counts: Counter[str] = Counter()

    def on_operator(name: str, args: tuple[Any, ...], out: Any) -> None:
        counts[name] += 1

    with operator_callback_mode(on_operator):
        call()
    return dict(sorted(counts.items()))
