"""The limits and aims of a test: from its markers, and from the project's file of limits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from perfsuite.errors import UsageError
from perfsuite.judge.limits import Limit, LimitType
from perfsuite.judge.metrics import find_metric
from perfsuite.judge.units import MetricKind
from perfsuite.toml_file import read_toml

MARKERS = (
    "floor(images_per_second=..., speedup=..., where={...}): fail when the whole interval is below",
    "aim(speedup=..., p95=..., where={...}): a floor or ceiling that is shown and fails nothing",
    "tolerance(fraction): the slowdown that a gate ignores in this test, such as 0.05",
    "ceiling(overhead=..., peak_memory='400 MiB', p95='50 ms', host_syncs=0, where={...}): fail when above",
)


IMAGES_FACT = "images"  # of an environment only where the images are the user's own
_KINDS = {"floor": "images_per_second=50", "ceiling": "overhead=0.30", "aim": "speedup=1.5"}  # and examples


@dataclass(frozen=True, slots=True)
class ItemLimits:
    """What must hold for a test, and what is only aimed at."""

    required: tuple[Limit, ...] = ()
    aims: tuple[Limit, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.required or self.aims)

    @property
    def of_counters(self) -> ItemLimits:
        """Those that counters decide, without a time."""
        required, aims = (
            tuple(limit for limit in limits if limit.kind is MetricKind.COUNT)
            for limits in (self.required, self.aims)
        )
        return ItemLimits(required, aims)


def limits_for(item: pytest.Item, facts: Mapping[str, str], entries: Sequence[LimitsFileEntry]) -> ItemLimits:
    """Collect the limits of a test in an environment with these hard facts.

    A limit from the file replaces the marker's on the same metric.
    """
    limits: dict[tuple[bool, str], Limit] = {}
    for kind in _KINDS:
        # Closest last, so that a function's marker replaces its class's or module's.
        for mark in reversed(list(item.iter_markers(kind))):
            for limit in _limits_of_mark(mark, kind, facts):
                limits[kind == "aim", limit.metric] = limit
    for entry in entries:
        if fnmatchcase(item.nodeid, entry.test) and environment_matches(entry.where, facts):
            limits |= {(False, limit.metric): limit for limit in entry.limits.required}
            limits |= {(True, limit.metric): limit for limit in entry.limits.aims}
    return ItemLimits(
        required=tuple(limit for (is_aim, _), limit in limits.items() if not is_aim),
        aims=tuple(limit for (is_aim, _), limit in limits.items() if is_aim),
    )


def _limits_of_mark(mark: pytest.Mark, kind: str, facts: Mapping[str, str]) -> Iterable[Limit]:
    if mark.args or not mark.kwargs:
        raise UsageError(f"{kind}: expected limits by name, such as {kind}({_KINDS[kind]})")
    bounds = dict(mark.kwargs)
    where = bounds.pop("where", {})
    if not isinstance(where, Mapping) or not set(where) <= set(facts):
        raise UsageError(f"{kind}: where={where!r}, expected some of the keys {', '.join(sorted(facts))}")
    limits = [_parse_limit(kind, metric, bound) for metric, bound in bounds.items()]
    return limits if environment_matches(where, facts) else []


def _parse_limit(kind: str, metric: str, bound: object) -> Limit:
    """A limit of a marker or of the file. The metric decides whether an aim is a floor or a ceiling."""
    if kind != "aim":
        return Limit.parse(LimitType(kind), metric, bound)
    try:
        limit_type = LimitType.FLOOR if find_metric(metric).more_is_better else LimitType.CEILING
    except UsageError as error:
        raise UsageError(f"aim({metric}): {error}") from error
    return Limit.parse(limit_type, metric, bound)


def environment_matches(where: Mapping[str, str], facts: Mapping[str, str]) -> bool:
    """Whether each named fact matches its pattern, with shell-style wildcards.

    >>> environment_matches({"gpu": "*H200*"}, {"gpu": "NVIDIA H200", "cores": "16"})
    True
    """
    return all(fnmatchcase(facts.get(key, "absent"), str(pattern)) for key, pattern in where.items())


@dataclass(frozen=True, slots=True)
class LimitsFileEntry:
    """One `[[limit]]` of the file of limits: the tests, the environments, and what must hold."""

    test: str
    limits: ItemLimits
    where: Mapping[str, str] = field(default_factory=dict)


def read_limits_file(path: Path, facts: Collection[str]) -> tuple[LimitsFileEntry, ...]:
    """Read the limits of environments, whose facts have these names; none where there is no file."""
    if not path.exists():
        return ()
    document = read_toml(path, "a TOML file of [[limit]] tables")
    entries = document.get("limit", [])
    if set(document) - {"limit"} or not isinstance(entries, list):
        raise UsageError(f"{path}: expected [[limit]] tables and nothing else")
    known = {*facts, IMAGES_FACT}
    return tuple(
        _parse_entry(entry, f"{path}: limit {number}", known) for number, entry in enumerate(entries, 1)
    )


def _parse_entry(entry: Any, who: str, known_facts: Collection[str]) -> LimitsFileEntry:
    if not isinstance(entry, dict) or not isinstance(entry.get("test"), str):
        raise UsageError(f"{who}: expected test = 'benchmarks/test_loaders.py::*'")
    if unknown := set(entry) - {"test", "where", *_KINDS}:
        expected = ", ".join(("where", *_KINDS))
        raise UsageError(f"{who}: unknown key {', '.join(sorted(unknown))}, expected {expected}")
    try:
        parsed = {
            kind: tuple(_parse_limit(kind, metric, bound) for metric, bound in _table(entry, kind).items())
            for kind in _KINDS
        }
    except UsageError as error:
        raise UsageError(f"{who}: {error}") from error
    limits = ItemLimits(required=parsed["floor"] + parsed["ceiling"], aims=parsed["aim"])
    if not limits:
        raise UsageError(f"{who}: no limit, expected one such as floor.images_per_second = 50")
    where = entry.get("where", {})
    if not isinstance(where, dict) or not set(where) <= set(known_facts):
        raise UsageError(
            f"{who}: where = {where!r}, expected a table of some of {', '.join(sorted(known_facts))}"
        )
    return LimitsFileEntry(entry["test"], limits, where)


def _table(entry: Mapping[str, Any], kind: str) -> Mapping[str, object]:
    table = entry.get(kind, {})
    if not isinstance(table, dict):
        raise UsageError(f"{kind} = {table!r}, expected limits by name, such as {kind}.{_KINDS[kind]}")
    return table
