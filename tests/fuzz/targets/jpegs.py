"""JPEG files, through every decoder that is installed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from perfsuite.errors import PerfsuiteError
from tests.fuzz.mutations import mutate_bytes
from tests.fuzz.target import FindingError, Target


def corpus() -> Sequence[bytes]:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    files = []
    for options in ({}, {"progressive": True}, {"subsampling": 0}, {"quality": 100}):
        for mode, shape in (("RGB", (40, 56, 3)), ("L", (33, 17)), ("CMYK", (24, 24, 4))):
            file = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8), mode).save(file, "JPEG", **options)
            files.append(file.getvalue())
    return files


def try_one(data: bytes, folder: Path) -> None:
    import numpy as np

    from perfsuite.data.decoding.registry import DECODERS, available_decoders

    for name in available_decoders():
        try:
            pixels = DECODERS[name].decode(data)
        except PerfsuiteError:
            continue
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise FindingError(f"{name}: {pixels.dtype} {pixels.shape}, expected uint8 and three channels")


TARGET = Target("jpegs", corpus, mutate_bytes, try_one, needs="PIL")
