"""The numbers of a sample are Philox's, whichever samples were read before and in whichever thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from perfsuite.transforms.augment import counter_rng
from perfsuite.transforms.augment.counter_rng import epoch_uniforms, sample_uniforms, uniforms

# More streams than are cached, so that each is created again.
STREAMS = [(42, 0), (42, 1), (7, 0), (2**64 - 1, 2), (0, 0), (1, 2**40)]
INDICES = [70_000, 0, 2**61, 3]
BLOCKS = [0, 7, 2**32 - 1]


def oracle(seed: int, epoch: int, index: int, block: int = 0) -> list[float]:
    """numpy's Philox, created for one sample."""
    bits = np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64), counter=[4 * index, block, 0, 0])
    return [float(number) for number in np.random.Generator(bits).random(16)]


def all_reads_match_the_oracle() -> bool:
    """Whether every way of reading gives numpy's own numbers, with other reads in between."""
    for index in INDICES:
        for seed, epoch in STREAMS:
            for block in BLOCKS:
                expected = oracle(seed, epoch, index, block)
                if uniforms(seed, epoch, [index, 5, index], block)[[0, 2]].tolist() != [expected] * 2:
                    return False
                if sample_uniforms(seed, epoch, index, block) != expected:
                    return False
    return all(
        epoch_uniforms(seed, epoch, 9, block)[8].tolist() == oracle(seed, epoch, 8, block)
        for seed, epoch in STREAMS
        for block in BLOCKS
    )


def test_the_numbers_are_those_of_philox_whatever_was_read_before() -> None:
    assert all_reads_match_the_oracle()


def test_threads_that_read_at_once_do_not_disturb_each_other() -> None:
    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(lambda _: all_reads_match_the_oracle(), range(12)))


def test_a_stream_that_ignores_the_seed_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: one stream for all seeds and epochs gives other numbers."""
    shared = counter_rng._PhiloxStream(42, 0)
    monkeypatch.setattr(counter_rng, "_stream", lambda seed, epoch: shared)
    assert not all_reads_match_the_oracle()
