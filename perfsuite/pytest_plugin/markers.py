"""The limits of a test: from its markers, and from the project's file of limits."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from perfsuite.errors import UsageError
from perfsuite.judge.limits import Limit, LimitType

MARKERS = (
    "floor(images_per_second=..., speedup=..., where={...}): fail when the whole interval is below",
    "tolerance(fraction): the slowdown that a gate ignores in this test, such as 0.05",
    "ceiling(overhead=..., peak_memory='400 MiB', p95='50 ms', host_syncs=0, where={...}): fail when above",
)


def limits_for(
    item: pytest.Item, facts: Mapping[str, str], entries: Sequence[LimitsFileEntry]
) -> tuple[Limit, ...]:
    """Collect the limits of a test in an environment with these hard facts.

    A limit from the file replaces the marker's on the same metric.
    """
    limits: dict[tuple[LimitType, str], Limit] = {}
    for limit_type in LimitType:
        # Closest last, so that a function's marker replaces its class's or module's.
        for mark in reversed(list(item.iter_markers(limit_type.value))):
            for limit in _limits_of_mark(mark, limit_type, facts):
                limits[limit.limit_type, limit.metric] = limit
    for entry in entries:
        if fnmatchcase(item.nodeid, entry.test) and environment_matches(entry.where, facts):
            for limit in entry.limits:
                limits[limit.limit_type, limit.metric] = limit
    return tuple(limits.values())


def _limits_of_mark(mark: pytest.Mark, limit_type: LimitType, facts: Mapping[str, str]) -> Iterable[Limit]:
    if mark.args or not mark.kwargs:
        raise UsageError(
            f"{limit_type}: expected limits by name, such as {limit_type}({_EXAMPLES[limit_type]})"
        )
    bounds = dict(mark.kwargs)
    where = bounds.pop("where", {})
    if not isinstance(where, Mapping) or not set(where) <= set(facts):
        raise UsageError(
            f"{limit_type}: where={where!r}, expected some of the keys {', '.join(sorted(facts))}"
        )
    limits = [Limit.parse(limit_type, metric, bound) for metric, bound in bounds.items()]
    return limits if environment_matches(where, facts) else []


_EXAMPLES = {LimitType.FLOOR: "images_per_second=50", LimitType.CEILING: "overhead=0.30"}


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
    limits: tuple[Limit, ...]
    where: Mapping[str, str] = field(default_factory=dict)


def read_limits_file(path: Path) -> tuple[LimitsFileEntry, ...]:
    """Read the limits of particular environments; none where there is no file."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: {error}; expected a TOML file of [[limit]] tables") from error
    entries = document.get("limit", [])
    if set(document) - {"limit"} or not isinstance(entries, list):
        raise UsageError(f"{path}: expected [[limit]] tables and nothing else")
    return tuple(_parse_entry(entry, f"{path}: limit {number}") for number, entry in enumerate(entries, 1))


def _parse_entry(entry: Any, who: str) -> LimitsFileEntry:
    if not isinstance(entry, dict) or not isinstance(entry.get("test"), str):
        raise UsageError(f"{who}: expected test = 'benchmarks/test_loaders.py::*'")
    if unknown := set(entry) - {"test", "where", "floor", "ceiling"}:
        raise UsageError(f"{who}: unknown key {', '.join(sorted(unknown))}, expected where, floor, ceiling")
    try:
        limits = tuple(
            Limit.parse(limit_type, metric, bound)
            for limit_type in LimitType
            for metric, bound in entry.get(limit_type.value, {}).items()
        )
    except UsageError as error:
        raise UsageError(f"{who}: {error}") from error
    if not limits:
        raise UsageError(f"{who}: no limit, expected one such as floor.images_per_second = 50")
    return LimitsFileEntry(entry["test"], limits, entry.get("where", {}))
