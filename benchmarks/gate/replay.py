"""Replay whole gates from recorded pairs, by the rule that ships."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from perfsuite.judge.order_statistics import interquartile_mean
from perfsuite.judge.pair_ratio import pair_standard_error
from perfsuite.judge.sequential_rule import Decision, SequentialRule, decide

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results" / "gate"
# The eight workloads, and the stage of each in which a change is planted.
PLANTED_STAGE = {
    "decode": "decode",
    "resize": "resize",
    "augment": "augment",
    "normalize": "normalize",
    "collate": "collate",
    "step": "backward",
    "boxes": "parse",
    "pipeline": "resize",
}
NAMES = tuple(PLANTED_STAGE)
# Consecutive pairs that one replay draws from, so that it keeps slow changes of the machine: twice as many as
# it takes, at least.
WINDOW = 48

Record = dict[str, Any]  # one line of a recording


class RecordedPair(NamedTuple):
    """One workload in one null pair."""

    log_ratio: float  # head over base
    error: float  # its standard error, from the spread of its turns


NullPair = dict[str, RecordedPair]  # one null pair, by workload


def read_records(name: str) -> list[Record]:
    """The lines of a recording; none where it does not exist."""
    path = RESULTS / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def plant_file_name(percent: float, faster: bool) -> str:
    return f"plant-{'faster' if faster else 'slower'}-{percent:g}.jsonl"


@cache
def recordings(state: str) -> list[NullPair]:
    """Null pairs recorded by themselves, and those of real gates while all workloads were undecided."""
    null_pairs = [
        {name: _pair_of_turns(entry["turns"]) for name, entry in record["workloads"].items()}
        for record in read_records(f"null-{state}.jsonl")
    ]
    pairs_of_gates = [
        dict(zip(record["workloads"], pair, strict=True))
        for record in read_records("real-null.jsonl")
        if record["state"] == state
        for pair in zip(*map(_pairs_of_gate, record["workloads"].values()), strict=False)
    ]
    return pairs_of_gates + null_pairs


def _pairs_of_gate(entry: Record) -> list[RecordedPair]:
    return [RecordedPair(*pair) for pair in zip(entry["ratios"], entry["errors"], strict=True)]


def _pair_of_turns(per_mille: Sequence[float]) -> RecordedPair:
    turns = [turn / 1000 for turn in per_mille]
    return RecordedPair(
        interquartile_mean(turns), pair_standard_error([1.0] * len(turns), [math.exp(turn) for turn in turns])
    )


def sample_pairs(pairs: Sequence[NullPair], number: int, rng: random.Random) -> list[NullPair]:
    """Random pairs of one window of the recording, in the order of time."""
    size = max(WINDOW, 2 * number)
    start = rng.randrange(max(1, len(pairs) - size + 1))
    window = range(start, min(len(pairs), start + size))
    return [pairs[index] for index in sorted(rng.sample(window, min(number, len(window))))]


def replay(
    pairs: Sequence[NullPair],
    rule: SequentialRule,
    rng: random.Random,
    planted: str = "",
    percent: float = 0.0,
) -> dict[str, Decision]:
    """One whole gate. Which side is head is drawn again for each pair."""
    taken = sample_pairs(pairs, rule.max_pairs, rng)
    signs = random_signs(taken, rng)
    return {
        name: judge_pairs(rule, [pair[name] for pair in taken], signs, percent if name == planted else 0.0)
        for name in taken[0]
    }


def random_signs(pairs: Sequence[object], rng: random.Random) -> list[int]:
    """Which side is head in each pair."""
    return [rng.choice((1, -1)) for _ in pairs]


def replay_as_recorded(
    pairs: Sequence[NullPair], rule: SequentialRule, rng: random.Random
) -> dict[str, Decision]:
    """One whole gate, with the sides as they were drawn while recording."""
    taken = sample_pairs(pairs, rule.max_pairs, rng)
    return {name: judge_pairs(rule, [pair[name] for pair in taken], [1] * len(taken)) for name in taken[0]}


def judge_pairs(
    rule: SequentialRule, pairs: Sequence[RecordedPair], signs: Sequence[int], slower_percent: float = 0.0
) -> Decision:
    """The rule's decision on one workload, with a slowdown added to its pairs."""
    ratios = [
        sign * pair.log_ratio + math.log1p(slower_percent / 100)
        for sign, pair in zip(signs, pairs, strict=True)
    ]
    return decide(rule, ratios, is_final=True, error=median_error(pairs))


def median_error(pairs: Sequence[RecordedPair]) -> float:
    return median(pair.error for pair in pairs)
