"""Whole gates replayed from recorded pairs by the rule as shipped."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from perfsuite.gate.schedule import TurnSchedule
from perfsuite.judge.sequential_rule import (
    Decision,
    SequentialRule,
    decide,
    interquartile_mean,
    pair_standard_error,
)

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results" / "gate"
# The eight workloads, and the stage of each that a change is planted in.
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
SEVERAL_THREADS = ("collate", "step", "pipeline")
WINDOW = 48  # pairs taken after one another, so that the machine's moods stay together


class RecordedPair(NamedTuple):
    """A workload in one null pair."""

    log_ratio: float  # log of head over base
    error: float  # of it, as its turns tell


NullPair = dict[str, RecordedPair]  # one null pair, by workload


def read_records(name: str) -> list[dict]:
    path = RESULTS / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def plant_file_name(percent: float, faster: bool) -> str:
    return f"plant-{'faster' if faster else 'slower'}-{percent:g}.jsonl"


def recordings(state: str, any_pace: bool = False) -> list[NullPair]:
    """Null pairs recorded on their own, and those of real gates while all workloads were still open.

    Those of several threads are left out of what was recorded at an older pace, unless `any_pace` will do.
    """
    alone = [
        _at_schedule(
            line, any_pace, {name: _pair_of_turns(seen["turns"]) for name, seen in line["workloads"].items()}
        )
        for line in read_records(f"null-{state}.jsonl")
    ]
    in_gates = [
        _at_schedule(line, any_pace, dict(zip(line["workloads"], pair, strict=True)))
        for line in read_records("real-null.jsonl")
        if line["state"] == state
        for pair in zip(*map(_pairs_of_gate, line["workloads"].values()), strict=False)
    ]
    return in_gates + alone


def recordings_of_any_schedule(state: str) -> list[NullPair]:
    """Pairs with all workloads, whatever the pace: older ones are noisier, which makes a replay no easier."""
    return recordings(state, any_pace=True)


def _at_schedule(line: dict, any_pace: bool, pair: NullPair) -> NullPair:
    if any_pace or line.get("threads_sharp") == TurnSchedule().threads_target_error:
        return pair
    return {name: recorded for name, recorded in pair.items() if name not in SEVERAL_THREADS}


def _pairs_of_gate(found: dict) -> list[RecordedPair]:
    return [RecordedPair(*pair) for pair in zip(found["ratios"], found["errors"], strict=True)]


def _pair_of_turns(per_mille: Sequence[float]) -> RecordedPair:
    turns = [turn / 1000 for turn in per_mille]
    return RecordedPair(
        interquartile_mean(turns), pair_standard_error([1.0] * len(turns), [math.exp(turn) for turn in turns])
    )


def sample_pairs(seen: Sequence[NullPair], number: int, chance: random.Random) -> list[NullPair]:
    """Pairs of one stretch of the recording, in the order they were taken."""
    start = chance.randrange(max(1, len(seen) - WINDOW + 1))
    window = range(start, min(len(seen), start + WINDOW))
    return [seen[place] for place in sorted(chance.sample(window, min(number, len(window))))]


def replay(
    seen: Sequence[NullPair],
    rule: SequentialRule,
    chance: random.Random,
    planted: str = "",
    percent: float = 0.0,
) -> dict[str, Decision]:
    """One whole gate by the rule as shipped. The lot that decides who is head is cast again for each pair."""
    taken = sample_pairs(seen, rule.max_pairs, chance)
    signs = random_signs(taken, chance)
    return {
        name: judge_pairs(rule, [pair[name] for pair in taken], signs, percent if name == planted else 0.0)
        for name in taken[0]
    }


def random_signs(pairs: Sequence[object], chance: random.Random) -> list[int]:
    """Who is head in each pair."""
    return [chance.choice((1, -1)) for _ in pairs]


def replay_as_recorded(
    seen: Sequence[NullPair], rule: SequentialRule, chance: random.Random
) -> dict[str, Decision]:
    """The same with the lots as they were cast while recording."""
    taken = sample_pairs(seen, rule.max_pairs, chance)
    return {name: judge_pairs(rule, [pair[name] for pair in taken], [1] * len(taken)) for name in taken[0]}


def judge_pairs(
    rule: SequentialRule, pairs: Sequence[RecordedPair], signs: Sequence[int], slower_percent: float = 0.0
) -> Decision:
    ratios = [
        sign * pair.log_ratio + math.log1p(slower_percent / 100)
        for sign, pair in zip(signs, pairs, strict=True)
    ]
    return decide(rule, ratios, spent=True, error=median_error(pairs))


def median_error(pairs: Sequence[RecordedPair]) -> float:
    return median(pair.error for pair in pairs)
