"""Invented noise of runs: equal code, many shapes. Rows are runs in order of time, columns are workloads.

All values are logarithms of a run's time, so 0.1 is about 10 %. No shape uses code of the package.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Noise = Callable[[np.random.Generator, int, int], FloatArray]  # generator, runs, workloads


def normal(rng: np.random.Generator, runs: int, workloads: int) -> FloatArray:
    return rng.normal(0, 0.01, (runs, workloads))


def heavy_tails(rng: np.random.Generator, runs: int, workloads: int) -> FloatArray:
    return np.asarray(0.01 * rng.standard_t(2, (runs, workloads)))


def skewed(rng: np.random.Generator, runs: int, workloads: int) -> FloatArray:
    return np.asarray(0.01 * np.exp(rng.normal(0, 1, (runs, workloads))))


def slow_processes(share: float) -> Noise:
    """Processes that are 10 % slow for their whole life, independently for each workload."""

    def noise(rng: np.random.Generator, runs: int, workloads: int) -> FloatArray:
        is_slow = rng.random((runs, workloads)) < share
        return np.asarray(0.1 * is_slow + rng.normal(0, 0.005, (runs, workloads)))

    return noise


def rare_spikes(rng: np.random.Generator, runs: int, workloads: int) -> FloatArray:
    spikes = rng.random((runs, workloads)) < 0.02
    return np.asarray(0.7 * spikes + rng.normal(0, 0.01, (runs, workloads)))


def different_spreads(rng: np.random.Generator, runs: int, workloads: int) -> FloatArray:
    """Each workload has a spread of its own, from 0.2 to 3 %."""
    return rng.normal(0, 1, (runs, workloads)) * rng.uniform(0.002, 0.03, workloads)


def common(rng: np.random.Generator, runs: int, workloads: int) -> FloatArray:
    """A process is slow or fast for all workloads at once."""
    return rng.normal(0, 0.02, (runs, 1)) + rng.normal(0, 0.005, (runs, workloads))


def quantized(rng: np.random.Generator, runs: int, workloads: int) -> FloatArray:
    """Most runs agree to the last digit."""
    return np.asarray(np.round(rng.normal(0, 0.01, (runs, workloads)) / 0.02) * 0.02)


def autoregressive(correlation: float) -> Noise:
    """Each run keeps a share of the deviation of the run before."""

    def noise(rng: np.random.Generator, runs: int, workloads: int) -> FloatArray:
        values = rng.normal(0, 0.01, (runs, workloads))
        for run in range(1, runs):
            values[run] = correlation * values[run - 1] + np.sqrt(1 - correlation**2) * values[run]
        return values

    return noise


def linear_drift(rng: np.random.Generator, runs: int, workloads: int) -> FloatArray:
    """The machine becomes 0.5 % slower with every run."""
    return 0.005 * np.arange(runs)[:, None] + rng.normal(0, 0.01, (runs, workloads))


def random_walk(rng: np.random.Generator, runs: int, workloads: int) -> FloatArray:
    return np.asarray(rng.normal(0, 0.005, (runs, workloads)).cumsum(axis=0))


SHAPES: dict[str, Noise] = {
    "normal, 1 %": normal,
    "t with 2 degrees of freedom": heavy_tails,
    "log-normal": skewed,
    "10 % slow, one process in two": slow_processes(0.5),
    "10 % slow, one process in five": slow_processes(0.2),
    "10 % slow, one process in ten": slow_processes(0.1),
    "rare spikes": rare_spikes,
    "spread differs by workload": different_spreads,
    "common to all workloads": common,
    "quantized": quantized,
    "AR .5": autoregressive(0.5),
    "AR .9": autoregressive(0.9),
    "AR .98": autoregressive(0.98),
    "linear drift": linear_drift,
    "random walk": random_walk,
}
NORMAL_LIKE = ("normal, 1 %", "spread differs by workload", "common to all workloads", "AR .5", "AR .9")
