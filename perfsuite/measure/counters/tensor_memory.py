"""Peak bytes of the tensors that the call created, without sparse ones and those of oneDNN."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from perfsuite.measure.counters.family import CounterFamily, Counts, Level, Scope, less_is_better
from perfsuite.measure.counters.torch_dispatch import DispatchedOperator, operator_callback_mode, storages_in


class _LiveTensorBytes:
    """The most bytes of tensor storage that were alive at once, of those created in the block."""

    def __init__(self) -> None:
        self.peak = 0
        self._live = 0
        self._storages: set[int] = set()

    def add(self, operator: DispatchedOperator) -> None:
        """Add the storages of a result. A view or an in-place operator returns a storage of its arguments."""
        given = {storage._cdata for storage in storages_in((operator.args, operator.kwargs))}
        for storage in storages_in(operator.result):
            if storage._cdata not in given:
                self._add_storage(storage)

    def _add_storage(self, storage: Any) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._storages:
            return
        self._storages.add(key)
        self._live += size
        self.peak = max(self.peak, self._live)
        weakref.finalize(storage, self._remove, key, size)

    def _remove(self, key: int, size: int) -> None:
        self._storages.discard(key)
        self._live -= size


@contextmanager
def _watch(counts: Counts) -> Iterator[None]:
    live = _LiveTensorBytes()
    with operator_callback_mode(live.add):
        yield
    counts["peak_tensor_bytes"] += live.peak


FAMILY = CounterFamily(
    directions=less_is_better("peak_tensor_bytes"),
    watch=_watch,
    needs_module="torch",
    level=Level.OPERATORS,
    scope=Scope.CALLING_THREAD,
)
