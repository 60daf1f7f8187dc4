"""Random numbers of a sample: a pure function of seed, epoch, index and block.

Sample 7 of epoch 2 gets the same numbers in every worker and in every order; epoch 3 gives it others. A block
is a further row of numbers for the same sample: block 0 is shared, and an operation may have its own.

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

# Changing it would change all parameters: it is the stride of the counter.
NUMBERS_PER_SAMPLE = 16
# Philox makes four numbers for each step of its counter.
_STEPS_PER_SAMPLE = NUMBERS_PER_SAMPLE // 4
_KEY_LIMIT = 2**64


def uniforms(
    seed: int, epoch: int, indices: Sequence[int] | NDArray[np.int64], block: int = 0
) -> NDArray[np.float64]:
    """One row of 16 numbers in [0, 1) for each index."""
    requested = np.asarray(indices, dtype=np.int64)
    if requested.size and requested.min() < 0:
        raise ValueError(f"augmentation: sample index {requested.min()}, expected 0 or more")
    return _stream(seed, epoch).rows_at(requested.tolist(), block)


def sample_uniforms(seed: int, epoch: int, index: int, block: int = 0) -> list[float]:
    """The row of one sample as Python numbers: faster for a caller that asks for one sample at a time.

    >>> sample_uniforms(42, 0, 7) == uniforms(42, 0, [7])[0].tolist()
    True
    """
    if index < 0:
        raise ValueError(f"augmentation: sample index {index}, expected 0 or more")
    return cast(list[float], _stream(seed, epoch).numbers_at(int(index), block).tolist())


def epoch_uniforms(seed: int, epoch: int, samples: int, block: int = 0) -> NDArray[np.float64]:
    """The rows of samples 0 .. samples-1: the same numbers as `uniforms`, faster for a whole data set.

    >>> bool((epoch_uniforms(42, 0, 20)[7] == uniforms(42, 0, [7])[0]).all())
    True
    """
    return _stream(seed, epoch).numbers_at(0, block, (samples, NUMBERS_PER_SAMPLE))


class _PhiloxStream:
    """The numbers of one epoch, at any sample. Cached, because creating one takes longer than reading it."""

    def __init__(self, seed: int, epoch: int) -> None:
        for name, value in (("seed", seed), ("epoch", epoch)):
            if not 0 <= value < _KEY_LIMIT:
                raise ValueError(f"augmentation: {name} {value}, expected 0 or more and below 2**64")
        self._bits = np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64))
        # First word: the sample. Second word: the block.
        self._counter = [0, 0, 0, 0]
        # Lists, which numpy reads in a third of the time that it needs for its own arrays.
        self._state: Any = dict(self._bits.state) | {
            "state": {"counter": self._counter, "key": [int(seed), int(epoch)]},
            "buffer": [0, 0, 0, 0],
        }
        self._random = np.random.Generator(self._bits).random

    def numbers_at(
        self, index: int, block: int, shape: int | tuple[int, int] = NUMBERS_PER_SAMPLE
    ) -> NDArray[np.float64]:
        """Numbers from the first of sample `index`; a shape of many rows reads the next samples too."""
        self._counter[:2] = index * _STEPS_PER_SAMPLE, block
        self._bits.state = self._state
        return self._random(shape)

    def rows_at(self, indices: list[int], block: int) -> NDArray[np.float64]:
        """The rows of these samples, with only the two steps that each of them needs."""
        rows = np.empty((len(indices), NUMBERS_PER_SAMPLE))
        bits, state, counter, random = self._bits, self._state, self._counter, self._random
        counter[1] = block
        for row, index in zip(rows, indices, strict=True):
            counter[0] = index * _STEPS_PER_SAMPLE
            bits.state = state
            random(out=row)
        return rows


# A worker alternates between two streams, of crops and of augmentations, in at most two epochs at once.
_MAX_CACHED_STREAMS = 4
# One cache per thread: two threads would move each other's position in a stream.
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
