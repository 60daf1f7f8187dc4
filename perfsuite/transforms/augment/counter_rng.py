"""Random numbers that belong to a sample: a pure function of seed, epoch and index.

Whichever worker asks, in whichever order, sample 7 of epoch 2 gets the same numbers; epoch 3 gives it others.

>>> uniforms(seed=42, epoch=0, indices=[7]).shape
(1, 16)
>>> bool((uniforms(42, 0, [7, 9])[1] == uniforms(42, 0, [9])[0]).all())
True
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

NUMBERS_PER_SAMPLE = 16
# Philox makes four numbers for each step of its counter.
_STEPS_PER_SAMPLE = NUMBERS_PER_SAMPLE // 4
_KEY_LIMIT = 2**64


def uniforms(seed: int, epoch: int, indices: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
    """One row of 16 numbers in [0, 1) for each index."""
    wanted = np.asarray(indices, dtype=np.int64)
    if wanted.size and wanted.min() < 0:
        raise ValueError(f"draw: sample index {wanted.min()}, expected 0 or more")
    return _stream(seed, epoch).rows_at(wanted.tolist())


def sample_uniforms(seed: int, epoch: int, index: int) -> list[float]:
    """The row of one sample as plain numbers, which is what a worker asks for again and again.

    >>> sample_uniforms(42, 0, 7) == uniforms(42, 0, [7])[0].tolist()
    True
    """
    if index < 0:
        raise ValueError(f"draw: sample index {index}, expected 0 or more")
    return cast(list[float], _stream(seed, epoch).numbers_at(int(index)).tolist())


def epoch_uniforms(seed: int, epoch: int, samples: int) -> NDArray[np.float64]:
    """The rows of samples 0 .. samples-1: the same numbers as `uniforms`, faster for a whole set.

    >>> bool((epoch_uniforms(42, 0, 20)[7] == uniforms(42, 0, [7])[0]).all())
    True
    """
    return _stream(seed, epoch).numbers_at(0, (samples, NUMBERS_PER_SAMPLE))


class _PhiloxStream:
    """The numbers of one epoch, at any sample. Kept, because making one takes longer than reading it."""

    def __init__(self, seed: int, epoch: int) -> None:
        for name, value in (("seed", seed), ("epoch", epoch)):
            if not 0 <= value < _KEY_LIMIT:
                raise ValueError(f"draw: {name} {value}, expected 0 or more and below 2**64")
        self._bits = np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64))
        self._counter = [0, 0, 0, 0]
        # As lists, which numpy takes over in a third of the time that it needs for its own arrays.
        self._start: Any = dict(self._bits.state) | {
            "state": {"counter": self._counter, "key": [int(seed), int(epoch)]},
            "buffer": [0, 0, 0, 0],
        }
        self._random = np.random.Generator(self._bits).random

    def numbers_at(
        self, index: int, shape: int | tuple[int, int] = NUMBERS_PER_SAMPLE
    ) -> NDArray[np.float64]:
        """Numbers from where those of sample `index` begin."""
        self._counter[0] = index * _STEPS_PER_SAMPLE
        self._bits.state = self._start
        return self._random(shape)

    def rows_at(self, indices: list[int]) -> NDArray[np.float64]:
        """The rows of these samples: `random_at` with nothing but the two steps that each needs."""
        rows = np.empty((len(indices), NUMBERS_PER_SAMPLE))
        bits, start, counter, random = self._bits, self._start, self._counter, self._random
        for row, index in zip(rows, indices, strict=True):
            counter[0] = index * _STEPS_PER_SAMPLE
            bits.state = start
            random(out=row)
        return rows


# A worker reads two streams in turns, of crops and of draws, at most those of two epochs at once.
_MAX_CACHED_STREAMS = 4
# Of one thread: two threads at once would move each other's position.
_thread_cache = threading.local()


def _stream(seed: int, epoch: int) -> _PhiloxStream:
    streams: dict[tuple[int, int], _PhiloxStream] | None = getattr(_thread_cache, "streams", None)
    if streams is None:
        streams = _thread_cache.streams = {}
    stream = streams.get((seed, epoch))
    if stream is None:
        if len(streams) == _MAX_CACHED_STREAMS:
            del streams[next(iter(streams))]
        stream = streams[seed, epoch] = _PhiloxStream(seed, epoch)
    return stream
