"""Whole gates replayed from recorded pairs by the rule as shipped."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path

from perfsuite.judge.pairs import Decision, Rule, decide, middle

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results" / "gate"
WINDOW = 48  # pairs taken after one another, so that the machine's moods stay together


Recording = dict[str, float]  # the log ratios of one null pair, by workload


def lines(name: str) -> list[dict]:
    path = RESULTS / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def recordings(state: str) -> list[Recording]:
    """Null pairs recorded on their own, and those of real gates while all workloads were still open."""
    alone = [
        {name: middle([turn / 1000 for turn in seen["turns"]]) for name, seen in line["workloads"].items()}
        for line in lines(f"null-{state}.jsonl")
    ]
    gates = [
        {name: found["ratios"] for name, found in line["workloads"].items()}
        for line in lines("real-null.jsonl")
        if line["state"] == state
    ]
    return alone + [
        dict(zip(gate, ratios, strict=True)) for gate in gates for ratios in zip(*gate.values(), strict=False)
    ]


def drawn(seen: Sequence[Recording], number: int, chance: random.Random) -> list[Recording]:
    """Pairs of one stretch of the recording, in the order they were taken."""
    start = chance.randrange(max(1, len(seen) - WINDOW + 1))
    window = range(start, min(len(seen), start + WINDOW))
    return [seen[place] for place in sorted(chance.sample(window, min(number, len(window))))]


def replay(
    seen: Sequence[Recording], rule: Rule, chance: random.Random, planted: str = "", percent: float = 0.0
) -> dict[str, Decision]:
    """One whole gate by the rule as shipped. The lot that decides who is head is cast again for each pair."""
    taken = drawn(seen, rule.max_pairs, chance)
    signs = [chance.choice((1, -1)) for _ in taken]
    return {
        name: decide(
            rule,
            [
                sign * pair[name] + (math.log1p(percent / 100) if name == planted else 0.0)
                for sign, pair in zip(signs, taken, strict=True)
            ],
            spent=True,
        )
        for name in taken[0]
    }


def as_recorded(seen: Sequence[Recording], rule: Rule, chance: random.Random) -> dict[str, Decision]:
    """The same with the lots as they were cast while recording."""
    taken = drawn(seen, rule.max_pairs, chance)
    return {name: decide(rule, [pair[name] for pair in taken], spent=True) for name in taken[0]}
