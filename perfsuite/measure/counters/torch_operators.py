"""The counters that torch can give, on any device and without one."""

from __future__ import annotations

import sys
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

_COPIES = {"aten.clone", "aten.copy_", "aten._to_copy", "aten.contiguous"}
# What makes the host wait for the device, or would with tensors on one.
_HOST_SYNCS = {
    "aten._local_scalar_dense", "aten.nonzero", "aten.is_nonzero", "aten.masked_select", "aten._unique2",
    "aten.unique_dim", "aten.unique_consecutive", "aten.equal", "aten.item",
}  # fmt: skip
_DECODE_PREFIXES = ("image.decode_", "torchcodec_ns.decode_")


@contextmanager
def count_torch(found: Counter[str]) -> Iterator[None]:
    """Count what torch does in the block: operators, casts, copies, waits, FLOPs, bytes kept, compiling."""
    import torch

    def on_operator(name: str, args: tuple[Any, ...], out: Any) -> None:
        _count_operator(found, name, args, out)
        live.note(out)

    for name in ("casts", "copies", "copied_bytes", "dispatched_ops", "host_syncs", "layout_copies"):
        found[name] += 0
    live = _LiveTensorBytes()
    saved = _SavedTensorBytes()
    flops = _FlopCounter()
    compiling_before = compile_counters()
    cuda_before = _cuda_allocations(torch)
    hooks = torch.autograd.graph.saved_tensors_hooks(saved.pack, saved.unpack)
    with hooks, _dispatch_mode(flops.dispatch), _operator_callback_mode(on_operator):
        yield
    found["flops"] += flops.total
    found["saved_bytes"] += saved.bytes
    found["peak_tensor_bytes"] += live.peak
    if cuda_before is not None:
        found["cuda_allocations"] += (_cuda_allocations(torch) or 0) - cuda_before
    for name, value in compile_counters().items():
        found[name] += value - compiling_before.get(name, 0)


def count_operators(call: Callable[[], object]) -> dict[str, int]:
    """How often each operator was dispatched in one call, by name.

    >>> import torch
    >>> count_operators(lambda: torch.ones(2).add(1).add(1))
    {'aten.add': 2, 'aten.ones': 1}
    """
    names: Counter[str] = Counter()

    def on_operator(name: str, args: tuple[Any, ...], out: Any) -> None:
        names[name] += 1

    with _operator_callback_mode(on_operator):
        call()
    return dict(sorted(names.items()))


def _operator_callback_mode(
    on_operator: Callable[[str, tuple[Any, ...], Any], None],
) -> AbstractContextManager[Any]:
    """Tell of every operator that is dispatched in the block, the backward pass included.

    A compiled function runs as its eager operators here: Dynamo steps aside for dispatch modes.
    """

    def dispatch(mode: Any, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        out = func(*args, **kwargs)
        on_operator(str(func.overloadpacket), args, out)
        return out

    return _dispatch_mode(dispatch)


def _dispatch_mode(dispatch: Callable[..., Any]) -> AbstractContextManager[Any]:
    """A dispatch mode that hands every operator to `dispatch(mode, func, args, kwargs)`."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Mode(TorchDispatchMode):  # type: ignore[no-untyped-call]
        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            # torch would import its compiler at the first operator, which takes seconds, only to keep it out.
            return "torch._dynamo" in sys.modules

        def __torch_dispatch__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            return dispatch(self, func, args, kwargs or {})

    mode: AbstractContextManager[Any] = Mode()  # type: ignore[no-untyped-call]
    return mode


class _FlopCounter:
    """Floating-point operations by torch's formulas. Its FlopCounterMode imports the compiler."""

    def __init__(self) -> None:
        from torch.utils.flop_counter import FlopCounterMode

        self.total = 0
        self._formulas = FlopCounterMode(display=False).flop_registry

    def dispatch(self, mode: Any, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        formula = self._formulas.get(func.overloadpacket)
        if formula is None and str(func) != "prim.device.default":
            with mode:  # in inference mode a whole `linear` arrives here, which is made of what has formulas
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        out = func(*args, **kwargs)
        if formula is not None:
            self.total += int(formula(*args, **kwargs, out_val=out))
        return out


def compile_counters() -> dict[str, int]:
    """What torch.compile has done in this process so far; empty where it was never used.

    Read before a workload's first call and after its last, the difference is the workload's own.
    """
    dynamo = sys.modules.get("torch._dynamo.utils")
    if dynamo is None:
        return {}
    counted = dynamo.counters
    frames = getattr(sys.modules.get("torch._dynamo.convert_frame"), "FRAME_COMPILE_COUNTER", None)
    done = {
        "graph_breaks": sum(counted["graph_break"].values()),
        "compiled_graphs": int(counted["stats"]["unique_graphs"]),
    }
    if frames is not None:
        done["recompiles"] = sum(max(0, times - 1) for times in frames.values())
    inductor = sys.modules.get("torch._inductor.metrics")
    if inductor is not None:
        done["generated_kernels"] = int(inductor.generated_kernel_count)
    return done


def _count_operator(found: Counter[str], name: str, args: tuple[Any, ...], out: Any) -> None:
    found["dispatched_ops"] += 1
    if name in _HOST_SYNCS or (name in ("aten.index", "aten.index_put_") and _has_mask(args)):
        found["host_syncs"] += 1
    if name.startswith(_DECODE_PREFIXES):
        found["decoded_images"] += len(args[0]) if isinstance(args[0], list) else 1
    if name in _COPIES and args and hasattr(args[0], "dtype"):
        _count_copy(found, name, args, out)


def _count_copy(found: Counter[str], name: str, args: tuple[Any, ...], out: Any) -> None:
    source = args[1] if name == "aten.copy_" else args[0]
    if not hasattr(source, "dtype"):
        return
    size = out.numel() * out.element_size()
    found["copies"] += 1
    found["copied_bytes"] += size
    if source.dtype != out.dtype:
        found["casts"] += 1
    elif source.device != out.device:
        found["device_copies"] += 1
        found["device_copied_bytes"] += size
        # A copy to the host from pageable memory waits for the device; so does reading it at once.
        if out.device.type == "cpu":
            found["host_syncs"] += 1
    elif source.shape == out.shape and source.stride() != out.stride():
        found["layout_copies"] += 1


def _has_mask(args: tuple[Any, ...]) -> bool:
    indices = args[1] if len(args) > 1 else ()
    return any(str(getattr(index, "dtype", "")) in ("torch.bool", "torch.uint8") for index in indices)


class _SavedTensorBytes:
    """Bytes of distinct storages that autograd kept for the backward pass, parameters apart."""

    def __init__(self) -> None:
        self.bytes = 0
        self._seen: dict[int, weakref.ref[Any]] = {}

    def pack(self, tensor: Any) -> Any:
        if not (tensor.is_leaf and tensor.requires_grad):
            storage = tensor.untyped_storage()
            known = self._seen.get(storage._cdata)
            if known is None or known() is None:
                self.bytes += storage.nbytes()
                self._seen[storage._cdata] = weakref.ref(storage)
        return tensor

    def unpack(self, tensor: Any) -> Any:
        return tensor


class _LiveTensorBytes:
    """The most bytes of tensor storage, made in the block, that were alive at once."""

    def __init__(self) -> None:
        self.live = 0
        self.peak = 0
        self._known: set[int] = set()

    def note(self, out: Any) -> None:
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if hasattr(tensor, "untyped_storage"):
                self._note_storage(tensor.untyped_storage())

    def _note_storage(self, storage: Any) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size


def _cuda_allocations(torch: Any) -> int | None:
    if not torch.cuda.is_initialized():
        return None
    return int(torch.cuda.memory_stats().get("allocation.all.allocated", 0))
