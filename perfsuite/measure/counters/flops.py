"""Floating-point operations, by torch's formulas."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from perfsuite.measure.counters.family import CounterFamily, Counts, Level, Scope, less_is_better
from perfsuite.measure.counters.torch_dispatch import decompose, dispatch_mode


class _FlopCounter:
    """Counts floating-point operations. Entering torch's own FlopCounterMode imports the compiler."""

    def __init__(self) -> None:
        from torch.utils.flop_counter import FlopCounterMode

        self.total = 0
        self._formulas = FlopCounterMode(display=False).flop_registry

    def dispatch(self, mode: Any, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        formula = self._formulas.get(func.overloadpacket)
        if formula is None:
            out = decompose(mode, func, args, kwargs)
            if out is not NotImplemented:
                return out
        out = func(*args, **kwargs)
        if formula is not None:
            self.total += int(formula(*args, **kwargs, out_val=out))
        return out


@contextmanager
def _watch(counts: Counts) -> Iterator[None]:
    counter = _FlopCounter()
    with dispatch_mode(counter.dispatch):
        yield
    counts["flops"] += counter.total


FAMILY = CounterFamily(
    directions=less_is_better("flops"),
    watch=_watch,
    needs_module="torch",
    level=Level.FORMULAS,
    scope=Scope.CALLING_THREAD,
)
