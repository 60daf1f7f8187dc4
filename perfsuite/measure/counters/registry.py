"""What a call did, counted and not timed: exact, so that one call of each side is enough to compare.

Counting slows a call down many times over; it is done in calls of its own, never in a timed round.
Work in other processes (the workers of a loader) is not seen.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from perfsuite.measure.clock import Call
from perfsuite.stages import listen_to_stages

# More of these is worse; a change of any other count is a change and nothing else.
LESS_IS_BETTER = frozenset(
    {
        "dispatched_ops", "casts", "layout_copies", "copies", "copied_bytes", "host_syncs", "device_copies",
        "device_copied_bytes", "flops", "saved_bytes", "decoded_images", "opened_files", "graph_breaks",
        "recompiles", "generated_kernels", "kernel_launches", "cuda_allocations",
    }
)  # fmt: skip


def count(call: Call) -> dict[str, int]:
    """Everything that can be counted of one call, by name.

    Torch's counters are there only where torch is already imported: a suite without it pays nothing.

    >>> count(lambda: open("/dev/null").close())["opened_files"]
    1
    """
    found: Counter[str] = Counter()
    with ExitStack() as stack:
        stack.enter_context(_count_opened_files(found))
        stack.enter_context(_count_pillow_decodes(found))
        for module, function in _DECODE_FUNCTIONS:
            stack.enter_context(_count_decode_calls(module, function, found))
        stack.enter_context(listen_to_stages(_StageCounter(found)))
        if "torch" in sys.modules:
            from perfsuite.measure.counters import torch_operators

            stack.enter_context(torch_operators.count_torch(found))
        call()
    return dict(found)


def counter_differences(base: Mapping[str, int], head: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """The counters in which two calls differ, as (base, head); one that is absent counts as 0.

    >>> counter_differences({"casts": 1, "copies": 4}, {"casts": 2, "copies": 4, "host_syncs": 1})
    {'casts': (1, 2), 'host_syncs': (0, 1)}
    """
    return {
        name: (base.get(name, 0), head.get(name, 0))
        for name in sorted({*base, *head})
        if base.get(name, 0) != head.get(name, 0)
    }


def count_repeatable(call: Call) -> tuple[dict[str, int], frozenset[str]]:
    """Counters of one call, and the names of those that a second call did not repeat: they never gate."""
    first, second = count(call), count(call)
    return first, frozenset(counter_differences(first, second))


class _StageCounter:
    """Counts what the running code says of itself (`stages.count_event`)."""

    def __init__(self, found: Counter[str]) -> None:
        self._found = found

    def begin(self, stage: str) -> None: ...

    def end(self, stage: str) -> None: ...

    def count_event(self, what: str, count: int) -> None:
        self._found[what] += count


_open_file_counts: Counter[str] | None = None
_audit_hook_installed = False


@contextmanager
def _count_opened_files(found: Counter[str]) -> Iterator[None]:
    """Count files opened for reading or writing; importing a module is not the workload's doing."""
    global _open_file_counts, _audit_hook_installed
    if (
        not _audit_hook_installed
    ):  # an audit hook cannot be taken away again, so there is one for good, mostly deaf
        sys.addaudithook(_on_audit_event)
        _audit_hook_installed = True
    found["opened_files"] += 0
    _open_file_counts = found
    try:
        yield
    finally:
        _open_file_counts = None


def _on_audit_event(event: str, arguments: tuple[Any, ...]) -> None:
    if _open_file_counts is not None and event == "open" and not str(arguments[0]).endswith((".py", ".pyc")):
        _open_file_counts["opened_files"] += 1


# Seen where they are called through their module or class, as nearly everybody does.
_DECODE_FUNCTIONS = (
    ("cv2", "imdecode"),
    ("cv2", "imread"),
    ("simplejpeg", "decode_jpeg"),
    ("turbojpeg", "TurboJPEG.decode"),
)


@contextmanager
def _count_decode_calls(module: str, function: str, found: Counter[str]) -> Iterator[None]:
    """Count calls of a function of a module, if that is imported."""
    path, _, name = function.rpartition(".")
    owner: Any = sys.modules.get(module)
    owner = getattr(owner, path, None) if path else owner
    plain = getattr(owner, name, None)
    if plain is None:
        yield
        return

    def counted(*args: Any, **options: Any) -> Any:
        found["decoded_images"] += 1
        return plain(*args, **options)

    setattr(owner, name, counted)
    try:
        yield
    finally:
        setattr(owner, name, plain)


@contextmanager
def _count_pillow_decodes(found: Counter[str]) -> Iterator[None]:
    """Count images that Pillow really decodes: `load` with tiles still to do."""
    module = sys.modules.get("PIL.ImageFile")
    if module is None:
        yield
        return
    image_file = module.ImageFile
    plain_load = image_file.load

    def counted_load(image: Any) -> Any:
        if image.tile:
            found["decoded_images"] += 1
        return plain_load(image)

    image_file.load = counted_load
    try:
        yield
    finally:
        image_file.load = plain_load
