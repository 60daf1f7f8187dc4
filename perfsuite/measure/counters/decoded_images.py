"""Images decoded by OpenCV, Pillow, simplejpeg and PyTurboJPEG."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from perfsuite.measure.counters.family import CounterFamily, Counts, add, less_is_better

# A call counts if it goes through the module or class, as nearly all calls do.
_FUNCTIONS = (
    ("cv2", "imdecode"),
    ("cv2", "imread"),
    ("simplejpeg", "decode_jpeg"),
    ("turbojpeg", "TurboJPEG.decode"),
)


@contextmanager
def _watch(counts: Counts) -> Iterator[None]:
    with ExitStack() as stack:
        stack.enter_context(_count_pillow_decodes(counts))
        for module, function in _FUNCTIONS:
            stack.enter_context(_count_calls(module, function, counts))
        yield


@contextmanager
def _count_calls(module: str, function: str, counts: Counts) -> Iterator[None]:
    """Count the calls of a function of a module, if the module is imported."""
    path, _, name = function.rpartition(".")
    owner: Any = sys.modules.get(module)
    owner = getattr(owner, path, None) if path else owner
    original = getattr(owner, name, None)
    if original is None:
        yield
        return

    def counted(*args: Any, **options: Any) -> Any:
        add(counts, "decoded_images")
        return original(*args, **options)

    setattr(owner, name, counted)
    try:
        yield
    finally:
        setattr(owner, name, original)


@contextmanager
def _count_pillow_decodes(counts: Counts) -> Iterator[None]:
    """Count the calls of `load` that decode: those with tiles left."""
    module = sys.modules.get("PIL.ImageFile")
    if module is None:
        yield
        return
    image_file = module.ImageFile
    original_load = image_file.load

    def counted_load(image: Any) -> Any:
        if image.tile:
            add(counts, "decoded_images")
        return original_load(image)

    image_file.load = counted_load
    try:
        yield
    finally:
        image_file.load = original_load


FAMILY = CounterFamily(directions=less_is_better("decoded_images"), watch=_watch)
