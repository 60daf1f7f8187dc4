"""The fastest decoder of whole images on this machine, timed once and stored.

`auto` uses it where the region decoder is not available.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from statistics import median

import numpy as np
from PIL import Image

from perfsuite.atomic import open_replacing
from perfsuite.data.cache_root import cache_root
from perfsuite.data.decoding.decoder import Decoder
from perfsuite.timer import Timer, default_timer

TURNS = 9


@cache
def choose_decoder(candidates: tuple[Decoder, ...], timer: Timer = default_timer) -> Decoder:
    """Return the fastest candidate. The choice is stored per machine and package versions."""
    by_name = {decoder.name: decoder for decoder in candidates}
    versions = {decoder.name: _version(decoder) for decoder in candidates}
    key = hashlib.sha256(json.dumps([platform.node(), versions]).encode()).hexdigest()[:20]
    path = cache_root() / "decoders" / f"{key}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        return by_name[json.loads(path.read_text())["fastest"]]
    seconds = time_decoders(candidates, timer)
    fastest = min(seconds, key=lambda name: seconds[name])
    with suppress(OSError), open_replacing(path) as file:  # without a cache folder each process times anew
        file.write(json.dumps({"fastest": fastest, "seconds_per_image": seconds}).encode())
    return by_name[fastest]


def time_decoders(candidates: Sequence[Decoder], timer: Timer = default_timer) -> Mapping[str, float]:
    """Measure seconds per image by name: the median of `TURNS` alternating turns on one photo-like image."""
    data = _benchmark_jpeg()
    for decoder in candidates:
        decoder.decode(data)  # imports its library
    seconds: dict[str, list[float]] = {decoder.name: [] for decoder in candidates}
    for turn in range(TURNS):
        for decoder in candidates if turn % 2 else reversed(candidates):
            start = timer()
            decoder.decode(data)
            seconds[decoder.name].append(timer() - start)
    return {name: median(samples) for name, samples in seconds.items()}


def _benchmark_jpeg() -> bytes:
    """500x375, coarse shapes under fine noise: about 100 KB, the size of a photo-like JPEG."""
    rng = np.random.default_rng(42)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize((500, 375))
    noisy = np.clip(np.asarray(coarse) + rng.normal(0, 8, (375, 500, 1)), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, "JPEG", quality=92)
    return file.getvalue()


def _version(decoder: Decoder) -> str:
    try:
        return version(decoder.distribution)
    except PackageNotFoundError:
        return "unknown"
