"""Bytes that autograd saves for the backward pass.

They are counted in a call of their own: where a hook sees what is saved, autograd dispatches other operators
(it detaches more tensors), which the counters of operators must not count.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from perfsuite.measure.counters.family import CounterFamily, Counts, Scope, less_is_better
from perfsuite.measure.counters.torch_dispatch import storages_in


class _SavedTensorBytes:
    """Bytes of the distinct storages that autograd saves, without parameters."""

    def __init__(self) -> None:
        self.bytes = 0
        self._storages: dict[int, weakref.ref[Any]] = {}

    def pack(self, tensor: Any) -> Any:
        if not (tensor.is_leaf and tensor.requires_grad):
            for storage in storages_in(tensor):
                known = self._storages.get(storage._cdata)
                if known is None or known() is None:
                    self.bytes += storage.nbytes()
                    self._storages[storage._cdata] = weakref.ref(storage)
        return tensor

    def unpack(self, tensor: Any) -> Any:
        return tensor


@contextmanager
def _watch(counts: Counts) -> Iterator[None]:
    import torch

    saved = _SavedTensorBytes()
    with torch.autograd.graph.saved_tensors_hooks(saved.pack, saved.unpack):
        yield
    counts["saved_bytes"] += saved.bytes


FAMILY = CounterFamily(
    directions=less_is_better("saved_bytes"),
    watch=_watch,
    needs_module="torch",
    scope=Scope.CALLING_THREAD,
    own_call_if=lambda counts: counts.records_gradients,
)
