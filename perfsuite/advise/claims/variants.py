"""Prepare the variants of a table within a time limit, and time them in turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from statistics import median

from perfsuite.advise.claims.parts import after
from perfsuite.advise.claims.results import SpeedupRow, speedup_row
from perfsuite.advise.time_limit import TimeIsUpError, TimeLimit, divide_time, interrupt_when_over
from perfsuite.errors import PerfsuiteError
from perfsuite.measure.clock import make_clock
from perfsuite.measure.sampling import SamplingPlan, calibrate, warm_up
from perfsuite.measure.turns import TurnSamples, run_blocks

Call = Callable[[], object]
PREPARATION_SHARE = 0.75  # of a part's time, for compilation and the comparison of results
WARM_UP_SHARE = 0.2  # of the time that is left then


@dataclass(frozen=True, slots=True)
class VariantTimes:
    """The rows of the variants that were timed, and why the others were rejected."""

    rows: tuple[SpeedupRow, ...]
    rejected: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PreparedCalls:
    """The calls to time by name, and why the others were rejected."""

    calls: Mapping[str, Call]
    rejected: Mapping[str, str]


def prepare_calls(makers: Mapping[str, Callable[[], Call]], limit: TimeLimit) -> PreparedCalls:
    """Make every call; one that takes longer than its share, or raises PerfsuiteError, is rejected.

    The first is the baseline and must succeed. Put what is compiled last: it gets what the others leave.
    """
    baseline, *others = makers
    calls = {baseline: makers[baseline]()}
    rejected: dict[str, str] = {}
    for name, share in divide_time(limit.share(PREPARATION_SHARE), dict.fromkeys(others, 1.0)):
        try:
            with interrupt_when_over(share):
                calls[name] = makers[name]()
        except TimeIsUpError:
            rejected[name] = f"not ready {after(share)}"
        except PerfsuiteError as error:
            rejected[name] = str(error)
    return PreparedCalls(calls, rejected)


def time_within(
    limit: TimeLimit, calls: Mapping[str, Call], items: float | Mapping[str, float], device: str | None = None
) -> TurnSamples:
    """Time the calls in turns (A B C C B A) for what is left of the limit; whole blocks count.

    No block begins that would end later, by the time of those before it.
    """
    clock = make_clock(device)
    plan = SamplingPlan(max_warmup_seconds=min(2.0, limit.left * WARM_UP_SHARE / len(calls)))
    repeats = {}
    for name, call in calls.items():
        call()  # preparing another call may have reset the compiler
        repeats[name] = 1
        if clock.time_calls(call, 1) < plan.max_warmup_seconds:  # else there is time for turns only
            repeats[name] = calibrate(call, clock, plan)
            warm_up(call, clock, repeats[name], plan)
    turns = limit.share(1.0)
    blocks: list[tuple[float, ...]] = []

    def is_last(taken: int) -> bool:
        return taken > 0 and not turns.suffices_for_another(taken)

    def turn(name: str) -> float:
        return clock.time_calls(calls[name], repeats[name]) / repeats[name]

    try:
        for block in run_blocks(list(calls), turn, should_stop=is_last, rng=Random()):
            blocks.append(block)
    except TimeIsUpError:
        if not blocks:
            raise
    per_call = dict(zip(calls, zip(*blocks, strict=True), strict=True))
    count = {name: items if isinstance(items, int | float) else items[name] for name in calls}
    seconds = {name: tuple(value / count[name] for value in values) for name, values in per_call.items()}
    return TurnSamples(seconds, repeats, looks=0)


def speedup_rows(
    turns: TurnSamples, first_calls: Mapping[str, float] | None = None
) -> tuple[SpeedupRow, ...]:
    """A row for each variant, against the first."""
    baseline = next(iter(turns.seconds_per_item))
    return tuple(
        speedup_row(name, turns.ratios(baseline, name), 1 / median(samples), (first_calls or {}).get(name))
        for name, samples in turns.seconds_per_item.items()
    )
