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
_LARGEST = 2**64


def uniforms(seed: int, epoch: int, indices: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
    """One row of 16 numbers in [0, 1) for each index."""
    stream = _stream(seed, epoch)
    rows = np.empty((len(indices), NUMBERS_PER_SAMPLE))
    for row, index in zip(rows, indices, strict=True):
        if index < 0:
            raise ValueError(f"draw: sample index {index}, expected 0 or more")
        stream.go_to(int(index))
        stream.generator.random(out=row)
    return rows


def sample_uniforms(seed: int, epoch: int, index: int) -> list[float]:
    """The row of one sample as plain numbers, which is what a worker asks for again and again.

    >>> sample_uniforms(42, 0, 7) == uniforms(42, 0, [7])[0].tolist()
    True
    """
    if index < 0:
        raise ValueError(f"draw: sample index {index}, expected 0 or more")
    stream = _stream(seed, epoch)
    stream.go_to(int(index))
    return cast(list[float], stream.generator.random(NUMBERS_PER_SAMPLE).tolist())


def epoch_uniforms(seed: int, epoch: int, samples: int) -> NDArray[np.float64]:
    """The rows of samples 0 .. samples-1: the same numbers as `uniforms`, faster for a whole set.

    >>> bool((epoch_uniforms(42, 0, 20)[7] == uniforms(42, 0, [7])[0]).all())
    True
    """
    stream = _stream(seed, epoch)
    stream.go_to(0)
    return stream.generator.random((samples, NUMBERS_PER_SAMPLE))


class _Stream:
    """The numbers of one epoch, at any sample. Kept, because making one takes longer than reading it."""

    def __init__(self, seed: int, epoch: int) -> None:
        for name, value in (("seed", seed), ("epoch", epoch)):
            if not 0 <= value < _LARGEST:
                raise ValueError(f"draw: {name} {value}, expected 0 or more and below 2**64")
        self._bits = np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64))
        self._start = cast(dict[str, Any], self._bits.state)
        self.key = (seed, epoch)
        self.generator = np.random.Generator(self._bits)

    def go_to(self, index: int) -> None:
        self._start["state"]["counter"][0] = index * _STEPS_PER_SAMPLE
        self._bits.state = cast(Any, self._start)


# One for each thread: two threads at once would move each other's position.
_kept = threading.local()


def _stream(seed: int, epoch: int) -> _Stream:
    stream: _Stream | None = getattr(_kept, "stream", None)
    if stream is None or stream.key != (seed, epoch):
        stream = _kept.stream = _Stream(seed, epoch)
    return stream
