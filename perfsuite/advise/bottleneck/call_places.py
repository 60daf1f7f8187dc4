"""Tell reading, decoding and transforming apart in a data set of the user's own, by the functions it calls.

A profile of the calling thread attributes time to the innermost function whose name or module says what it
does. `BufferedReader.read` is storage, also inside Pillow's decoder; `BytesIO.read` is not. Pillow's
`Image.open` parses a header, so it is decoding. `slow_decode` is decoding, with all that it calls and that
has no name of its own, such as `time.sleep`.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from time import perf_counter
from types import CodeType, FrameType
from typing import Any

# Names of stages, as perfsuite.advise.bottleneck.bottlenecks knows them.
WORDS = {
    "decode": {"decode", "decoder", "imdecode", "imread", "decompress", "jpeg", "decoding"},
    "read": {"read", "open", "fetch", "download", "recv", "readinto", "pread", "seek", "stat", "storage"},
    "collate": {"collate"},
    "transform": {
        *("transform", "transforms", "augment", "augmentation", "resize", "crop", "flip", "rotate"),
        *("normalize", "blur", "jitter", "compose", "letterbox", "pad", "warp"),
    },
}
TRANSFORM_MODULES = ("torchvision.transforms", "albumentations", "kornia")
DECODE_MODULES = re.compile(r"PIL\.(Image|ImageFile|\w+ImagePlugin)$")
IN_MEMORY = ("BytesIO", "StringIO")  # their read() reads no file
READ_MODULES = ("urllib", "http.", "fsspec", "s3fs", "botocore", "requests", "socket")
_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")


@lru_cache(maxsize=10_000)
def stage_of_call(name: str, module: str) -> str | None:
    """The stage that a function belongs to by its name, then by its module; None where neither says.

    >>> stage_of_call("slow_decode", "mine"), stage_of_call("RandomCrop.forward", "mine")
    ('decode', 'transform')
    >>> stage_of_call("BufferedReader.read", "_io"), stage_of_call("OpenImages.__getitem__", "mine")
    ('read', None)
    """
    owner, _, own_name = name.rpartition("<locals>.")[2].rpartition(".")
    # A class says what it does where it is called as a function: RandomCrop.forward, Decode.__call__.
    spoken = owner if own_name in ("forward", "__call__") else own_name
    if owner in IN_MEMORY:
        return None
    words = {word.lower() for word in _WORD.findall(spoken)}
    if DECODE_MODULES.match(module) and not words & WORDS["transform"]:
        return "decode"
    for stage, known in WORDS.items():
        if words & known:
            return stage
    if module.startswith(TRANSFORM_MODULES):
        return "transform"
    return "read" if module.startswith(READ_MODULES) else None


class CallProfile:
    """Sums seconds by stage while it is the profile function of a thread."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self.seconds: dict[str | None, float] = defaultdict(float)
        self._stack: list[str | None] = []
        self._clock = clock
        self._last = clock()

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        now = self._clock()
        self.seconds[self._stack[-1] if self._stack else None] += now - self._last
        if event == "call":
            self._enter(_stage_of_code(frame.f_code, frame.f_globals.get("__name__") or ""))
        elif event == "c_call":
            name = getattr(argument, "__qualname__", None) or getattr(argument, "__name__", "")
            self._enter(stage_of_call(str(name), str(getattr(argument, "__module__", None) or "")))
        elif self._stack:
            self._stack.pop()
        self._last = self._clock()

    def _enter(self, stage: str | None) -> None:
        enclosing = self._stack[-1] if self._stack else None
        self._stack.append(enclosing if stage is None else stage)


def _stage_of_code(code: CodeType, module: str) -> str | None:
    return stage_of_call(getattr(code, "co_qualname", code.co_name), str(module))


@contextmanager
def profile_calls() -> Iterator[CallProfile]:
    """Attribute the time of this thread's calls while the block runs."""
    before, profile = sys.getprofile(), CallProfile()
    sys.setprofile(profile)
    try:
        yield profile
    finally:
        sys.setprofile(before)
