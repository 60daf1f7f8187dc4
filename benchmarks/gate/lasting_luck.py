"""Is there luck that stays with one checkout for a whole gate? An estimate from recorded gates of equal code.

    python -m benchmarks.gate.validation real --gates 30     # records more of them
    python -m benchmarks.gate.lasting_luck

Each gate checks out both sides anew, so that luck of a checkout makes the means of gates scatter more than
the pairs inside them explain. The first four pairs of every gate are used, because a gate may end after them.
"""

from __future__ import annotations

from statistics import median

import numpy as np
from numpy.typing import NDArray

from benchmarks.gate.replay import NAMES, read_records

PAIRS = 4  # that every gate takes
RESAMPLES = 10_000

FloatArray = NDArray[np.float64]


def recorded_ratios() -> FloatArray:
    """Log ratios by gate, workload and pair."""
    gates = [
        [record["workloads"][name]["ratios"][:PAIRS] for name in NAMES]
        for record in read_records("real-null.jsonl")
    ]
    return np.array([gate for gate in gates if all(len(ratios) == PAIRS for ratios in gate)])


def variance_ratios(ratios: FloatArray) -> FloatArray:
    """By workload, the variance of the means of gates over what their pairs explain: 1 without lasting luck.

    The means scatter around 0, as equal code has no true difference.
    """
    within = ratios.var(axis=2, ddof=1).mean(axis=0)
    return np.asarray(PAIRS * (ratios.mean(axis=2) ** 2).mean(axis=0) / within)


def lasting_share(variance_ratio: float) -> float:
    """The standard deviation of lasting luck, in standard deviations of a pair."""
    return float(np.sqrt(max(0.0, variance_ratio - 1) / PAIRS))


def main() -> None:
    ratios = recorded_ratios()
    deviations = np.sqrt(ratios.var(axis=2, ddof=1).mean(axis=0))
    print("| workload | gates | deviation of a pair | variance of gates, over what pairs explain |")
    print("|---|--:|--:|--:|")
    for name, deviation, ratio in zip(NAMES, deviations, variance_ratios(ratios), strict=True):
        print(f"| {name} | {len(ratios)} | {deviation:.2%} | {ratio:.2f} |")
    rng = np.random.default_rng(0)
    resampled = [
        variance_ratios(ratios[rng.integers(len(ratios), size=len(ratios))]).mean() for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(resampled, [0.025, 0.975])
    share = lasting_share(float(high))
    print(
        f"\nall: {variance_ratios(ratios).mean():.2f} (95 %: {low:.2f} to {high:.2f}); 1 is no lasting luck,"
    )
    print(
        f"which has a deviation of at most {share:.2f} of that of a pair, "
        f"{share * median(deviations):.2%} of the time of the middle workload"
    )


if __name__ == "__main__":
    main()
