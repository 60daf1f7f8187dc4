"""How well `perfsuite history` finds changes in invented series, beside a plain threshold.

python -m benchmarks.judge.history_promise [--series N]      writes docs/results/history.md and .json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import log1p
from pathlib import Path

import numpy as np

from benchmarks.judge.noise import SHAPES, FloatArray
from perfsuite.judge.history.trend import analyze_workload

COMMITS = 200
STEPS = (0.02, 0.05, 0.1, 0.2)
NEAR = 5  # a found change within this many commits of a true one is that one
THRESHOLD = 0.05
NOISES = (
    "normal, 1 %",
    "t with 2 degrees of freedom",
    "log-normal",
    "rare spikes",
    "10 % slow, one process in two",
    "10 % slow, one process in ten",
    "AR .5",
    "AR .9",
)
RESULTS = Path(__file__).parents[2] / "docs" / "results"


@dataclass(frozen=True, slots=True)
class FoundChange:
    """A change that a detector reports, and the commits that it accuses."""

    index: int
    first: int
    last: int


Detector = Callable[[FloatArray], list[FoundChange]]


def history_rule(logs: FloatArray) -> list[FoundChange]:
    """The rule of `perfsuite history`."""
    trend = analyze_workload("w", np.exp(logs))
    return [FoundChange(each.index, each.first, each.last) for each in trend.changes] if trend else []


def plain_threshold(logs: FloatArray) -> list[FoundChange]:
    """The usual alert: a commit more than 5 % from the one before it."""
    jumps = np.flatnonzero(np.abs(np.diff(logs)) > log1p(THRESHOLD)) + 1
    return [FoundChange(int(each), int(each), int(each)) for each in jumps]


DETECTORS: dict[str, Detector] = {"history": history_rule, f"threshold {THRESHOLD:.0%}": plain_threshold}


@dataclass(frozen=True, slots=True)
class Score:
    """Counts over many series. `within_one`: found changes whose index is within one commit of the truth."""

    noise: str
    signal: str
    detector: str
    series: int
    planted: int
    found: int
    matched: int
    within_one: int
    in_range: int
    series_with_alarm: int  # that report anything which was not planted


def steps_signal(size: float) -> Callable[[np.random.Generator], tuple[FloatArray, list[int]]]:
    """Three steps of one size at random places, up or down."""

    def draw(rng: np.random.Generator) -> tuple[FloatArray, list[int]]:
        places = sorted(int(each) + 20 * number for number, each in enumerate(rng.choice(130, 3) + 15))
        places = [
            place for number, place in enumerate(places) if not number or place - places[number - 1] >= 15
        ]
        signal = np.zeros(COMMITS)
        for place in places:
            signal[place:] += log1p(size) * rng.choice([-1, 1])
        return signal, places

    return draw


def no_signal(rng: np.random.Generator) -> tuple[FloatArray, list[int]]:
    return np.zeros(COMMITS), []


def drift_signal(rng: np.random.Generator) -> tuple[FloatArray, list[int]]:
    """0.05 % with every commit: 10 % over the series, and no step."""
    return np.arange(COMMITS, dtype=np.float64) * 0.0005, []


SIGNALS = {
    "none": no_signal,
    **{f"steps of {size:.0%}": steps_signal(size) for size in STEPS},
    "drift of 10 %": drift_signal,
}


def score(noise: str, signal: str, detector: str, series: int, seed: int) -> Score:
    """Run one detector on invented series."""
    rng = np.random.default_rng(seed)
    planted = found = matched = within = in_range = alarms = 0
    for _ in range(series):
        logs, places = SIGNALS[signal](rng)
        logs = logs + SHAPES[noise](rng, COMMITS, 1)[:, 0]
        changes = DETECTORS[detector](logs)
        pairs = match(changes, places)
        planted += len(places)
        found += len(changes)
        matched += len(pairs)
        within += sum(abs(change.index - place) <= 1 for change, place in pairs)
        in_range += sum(change.first <= place <= change.last for change, place in pairs)
        alarms += len(changes) > len(pairs)
    return Score(noise, signal, detector, series, planted, found, matched, within, in_range, alarms)


def match(changes: list[FoundChange], places: list[int]) -> list[tuple[FoundChange, int]]:
    """Each planted step with the nearest found change, where one is near; each change is used once."""
    pairs = []
    free = list(changes)
    for place in places:
        near = [change for change in free if abs(change.index - place) <= NEAR]
        if near:
            nearest = min(near, key=lambda change: abs(change.index - place))
            free.remove(nearest)
            pairs.append((nearest, place))
    return pairs


def creep_found(noise: str, series: int, seed: int, rate: float) -> int:
    """Series in which creep or drift of the planted direction is reported."""
    rng = np.random.default_rng(seed)
    count = 0
    for _ in range(series):
        logs = np.arange(COMMITS) * rate + SHAPES[noise](rng, COMMITS, 1)[:, 0]
        trend = analyze_workload("w", np.exp(logs))
        if trend is None:
            continue
        creeps = trend.creep is not None and trend.creep.log_change > 0
        count += creeps or any(drift.log_change > 0 for drift in trend.drifts)
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=100)
    arguments = parser.parse_args()
    scores = [
        score(noise, signal, detector, arguments.series, seed=7)
        for noise in NOISES
        for signal in SIGNALS
        for detector in DETECTORS
    ]
    creep = {
        noise: {f"{rate:g}": creep_found(noise, arguments.series, 11, rate) for rate in (0.0, 0.0002, 0.0005)}
        for noise in NOISES
    }
    results = {"series": arguments.series, "scores": [asdict(each) for each in scores], "creep": creep}
    RESULTS.joinpath("history.json").write_text(json.dumps(results, indent=1) + "\n")
    RESULTS.joinpath("history.md").write_text(render(results))


def render(results: dict[str, object]) -> str:
    from benchmarks.judge.history_page import render_page

    return render_page(results)


if __name__ == "__main__":
    main()
