"""Which of the installed decoders is fastest here: timed once in turns, then remembered."""

from __future__ import annotations

import hashlib
import io
import json
import platform
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from time import perf_counter

import numpy as np
from PIL import Image

from perfsuite.atomic import open_replacing
from perfsuite.data.decoding.registry import DECODERS, available_decoders
from perfsuite.data.synthetic.dataset import cache_root

TURNS = 9
DISTRIBUTIONS = {"opencv": "opencv-python-headless", "turbojpeg": "PyTurboJPEG"}  # where the name is another


@cache
def choose_decoder() -> str:
    """The name of the fastest decoder that is installed."""
    names = available_decoders()
    key = hashlib.sha256(json.dumps([platform.node(), {name: _version(name) for name in names}]).encode())
    path = cache_root() / "decoders" / f"{key.hexdigest()[:20]}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(path.read_text())["fastest"]
        if told in names:
            return str(told)
    seconds = time_decoders(names)
    chosen = min(seconds, key=lambda name: seconds[name])
    with suppress(OSError), open_replacing(path) as out:  # where nothing can be kept it is timed again
        out.write(json.dumps({"fastest": chosen, "seconds_per_image": seconds}).encode())
    return chosen


def time_decoders(names: tuple[str, ...]) -> Mapping[str, float]:
    """Seconds that each takes for one image like a photograph, the median of turns."""
    data = _benchmark_jpeg()
    for name in names:
        DECODERS[name](data)  # imports its library
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(TURNS):
        for name in names if turn % 2 else reversed(names):
            began = perf_counter()
            DECODERS[name](data)
            seconds[name].append(perf_counter() - began)
    return {name: median(seconds[name]) for name in names}


def _benchmark_jpeg() -> bytes:
    """500x375, a few coarse shapes under fine noise: about 100 KB as a JPEG, as a photograph of that size."""
    chance = np.random.default_rng(42)
    coarse = Image.fromarray(chance.integers(0, 256, (6, 8, 3), np.uint8)).resize((500, 375))
    noisy = np.clip(np.asarray(coarse) + chance.normal(0, 8, (375, 500, 1)), 0, 255).astype(np.uint8)
    packed = io.BytesIO()
    Image.fromarray(noisy).save(packed, "JPEG", quality=92)
    return packed.getvalue()


def _version(name: str) -> str:
    try:
        return version(DISTRIBUTIONS.get(name, name))
    except PackageNotFoundError:
        return "unknown"
