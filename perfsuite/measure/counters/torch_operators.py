"""Operators that torch dispatches: all of them, copies, casts, host synchronizations and decoded images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from perfsuite.measure.counters.family import CounterFamily, Counts, Level, less_is_better
from perfsuite.measure.counters.torch_dispatch import operator_callback_mode

_COPIES = {"aten.clone", "aten.copy_", "aten._to_copy", "aten.contiguous"}
# The host waits for the device in these, or would if the tensors were on one.
_HOST_SYNCS = {
    "aten._local_scalar_dense", "aten.nonzero", "aten.is_nonzero", "aten.masked_select", "aten._unique2",
    "aten.unique_dim", "aten.unique_consecutive", "aten.equal", "aten.item",
}  # fmt: skip
_DECODE_PREFIXES = ("image.decode_", "torchcodec_ns.decode_")
_ALWAYS_REPORTED = ("casts", "copies", "copied_bytes", "dispatched_ops", "host_syncs", "layout_copies")


@contextmanager
def _watch(counts: Counts) -> Iterator[None]:
    for name in _ALWAYS_REPORTED:
        counts[name] += 0

    def on_operator(name: str, args: tuple[Any, ...], out: Any) -> None:
        _count_operator(counts, name, args, out)

    with operator_callback_mode(on_operator):
        yield


def _count_operator(counts: Counts, name: str, args: tuple[Any, ...], out: Any) -> None:
    counts["dispatched_ops"] += 1
    if name in _HOST_SYNCS or (name in ("aten.index", "aten.index_put_") and _has_mask(args)):
        counts["host_syncs"] += 1
    if name.startswith(_DECODE_PREFIXES):
        counts["decoded_images"] += len(args[0]) if isinstance(args[0], list) else 1
    if name in _COPIES and args and hasattr(args[0], "dtype"):
        _count_copy(counts, name, args, out)


def _count_copy(counts: Counts, name: str, args: tuple[Any, ...], out: Any) -> None:
    source = args[1] if name == "aten.copy_" else args[0]
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
        # A copy from the device to pageable host memory is synchronous.
        if out.device.type == "cpu":
            counts["host_syncs"] += 1
    elif source.shape == out.shape and source.stride() != out.stride():
        counts["layout_copies"] += 1


def _has_mask(args: tuple[Any, ...]) -> bool:
    indices = args[1] if len(args) > 1 else ()
    return any(str(getattr(index, "dtype", "")) in ("torch.bool", "torch.uint8") for index in indices)


FAMILY = CounterFamily(
    directions=less_is_better(*_ALWAYS_REPORTED, "device_copies", "device_copied_bytes"),
    watch=_watch,
    needs_module="torch",
    level=Level.OPERATORS,
)
