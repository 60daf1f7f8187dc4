"""How often a gate finds a slowdown of the MDE that it printed, for invented and for recorded pairs.

Each gate judges pairs of equal code by the rule that ships, until a workload ends. Then a slowdown of the
printed MDE is planted in that gate's own pairs: those that it took, and those that it would have taken next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isinf, log1p

import numpy as np

from benchmarks.gate import replay
from benchmarks.judge.noise import FloatArray
from perfsuite.judge.sequential_rule import Decision, SequentialRule, decide
from perfsuite.judge.verdict import Outcome

Pairs = tuple[FloatArray, float]  # log ratios, and the standard error of one from its turns
PairNoise = Callable[[np.random.Generator, int], Pairs]  # generator, pairs


def normal(spread: float, error: float) -> PairNoise:
    return lambda rng, pairs: (rng.normal(0, spread, pairs), error)


def heavy_tails(rng: np.random.Generator, pairs: int) -> Pairs:
    return np.asarray(0.01 * rng.standard_t(2, pairs)), 0.005


def skewed(rng: np.random.Generator, pairs: int) -> Pairs:
    first, second = 0.01 * np.exp(rng.normal(0, 1, (2, pairs)))
    return np.asarray(first - second), 0.005


def disturbed(rng: np.random.Generator, pairs: int) -> Pairs:
    """A neighbor makes one pair in seven ten times as noisy."""
    return rng.normal(0, 0.01, pairs) * np.where(rng.random(pairs) < 0.15, 10, 1), 0.008


def autoregressive(rng: np.random.Generator, pairs: int) -> Pairs:
    values = rng.normal(0, 0.01, pairs)
    for pair in range(1, pairs):
        values[pair] = 0.9 * values[pair - 1] + np.sqrt(0.19) * values[pair]
    return np.asarray(values * rng.choice([1, -1], pairs)), 0.005


def slow_processes(share: float) -> PairNoise:
    """Processes that are 10 % slow for their whole life."""

    def noise(rng: np.random.Generator, pairs: int) -> Pairs:
        first, second = 0.1 * (rng.random((2, pairs)) < share)
        return np.asarray(first - second + rng.normal(0, 0.005, pairs)), 0.004

    return noise


def recorded(state: str) -> PairNoise:
    """Recorded pairs of one workload, from one window of time; sides are drawn again."""
    recording = replay.recordings(state)

    def noise(rng: np.random.Generator, pairs: int) -> Pairs:
        name = replay.NAMES[rng.integers(len(replay.NAMES))]
        own = [pair[name] for pair in recording if name in pair]
        start = int(rng.integers(max(1, len(own) - replay.WINDOW + 1)))
        window = np.arange(start, min(len(own), start + replay.WINDOW))
        taken = [own[index] for index in np.sort(rng.choice(window, pairs, replace=False))]
        ratios = np.array([pair.log_ratio for pair in taken]) * rng.choice([1, -1], pairs)
        return ratios, float(np.median([pair.error for pair in taken]))

    return noise


@dataclass(frozen=True, slots=True)
class PairShape:
    """A shape of noise, the workloads of the gate, and whether the promise covers it."""

    noise: PairNoise
    workloads: int = 8
    is_promised: bool = True


SHAPES: dict[str, PairShape] = {
    "normal, 1 %": PairShape(normal(0.01, 0.01)),
    "normal, 1 %, quiet turns": PairShape(normal(0.01, 0.002)),
    "normal, 3 %, 20 workloads": PairShape(normal(0.03, 0.03), 20),
    "normal, 3 %, 20 workloads, quiet turns": PairShape(normal(0.03, 0.005), 20),
    "t with 2 degrees of freedom": PairShape(heavy_tails),
    "difference of log-normals": PairShape(skewed),
    "one pair in seven disturbed": PairShape(disturbed),
    "AR .9": PairShape(autoregressive),
    "recorded, idle": PairShape(recorded("idle")),
    "recorded, loaded": PairShape(recorded("loaded")),
    "10 % slow, one process in two": PairShape(slow_processes(0.5), is_promised=False),
    "10 % slow, one process in five": PairShape(slow_processes(0.2), is_promised=False),
}


@dataclass(frozen=True, slots=True)
class DetectionCounts:
    """Gates that printed an MDE, those that found it, and of both those that were kept."""

    gates: int
    found: int
    kept: int
    found_of_kept: int
    median_pairs: float
    median_mde: float


def count_detected(shape: PairShape, gates: int, seed: int) -> DetectionCounts:
    rng, rule = np.random.default_rng(seed), SequentialRule(workloads=shape.workloads)
    ended: list[tuple[Decision, bool]] = []
    for _ in range(gates):
        ratios, error = shape.noise(rng, rule.max_pairs)
        decision = decide(rule, ratios.tolist(), is_final=True, error=error)
        if decision.outcome in {Outcome.KEPT, Outcome.UNCLEAR} and not isinf(decision.mde):
            planted = decide(rule, (ratios + log1p(decision.mde)).tolist(), is_final=True, error=error)
            ended.append((decision, planted.outcome is Outcome.REGRESSED))
    kept = [found for decision, found in ended if decision.outcome is Outcome.KEPT]
    return DetectionCounts(
        gates=len(ended),
        found=sum(found for _, found in ended),
        kept=len(kept),
        found_of_kept=sum(kept),
        median_pairs=float(np.median([decision.pairs for decision, _ in ended])),
        median_mde=float(np.median([decision.mde for decision, _ in ended])),
    )
