"""Read the JSON of pytest-benchmark, and convert its data to valid JSON before storing it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from perfsuite.measure.measurement import Environment, Measurement
from perfsuite.store import fields
from perfsuite.store.json_values import FieldError


def parse_benchmarks(benchmarks: list[Any]) -> dict[str, Measurement]:
    """One measurement per entry of `benchmarks`. Without stored samples, the median is the only sample."""
    measurements: dict[str, Measurement] = {}
    for entry in benchmarks:
        benchmark = fields.mapping(entry, "benchmarks")
        name = fields.string(benchmark, "fullname")
        if name in measurements:
            raise FieldError(f"{name!r} is in `benchmarks` twice, expected each name once")
        stats = fields.mapping(benchmark.get("stats"), f"stats of {name}")
        data = stats.get("data")
        seconds = fields.samples(data if data else [stats.get("median")], name)
        calls = fields.integer(stats, "iterations") if stats.get("iterations") is not None else 1
        measurements[name] = Measurement(name, seconds, calls_per_round=calls)
    return measurements


def run_arguments(document: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The arguments of a Run, from a file of pytest-benchmark."""
    commit = _mapping(document.get("commit_info"))
    return {
        "name": PurePosixPath(source).stem,
        "created_at": str(document.get("datetime") or ""),
        "commit": str(commit.get("id") or ""),
        "dirty": bool(commit.get("dirty")),
        "environment": environment_of_machine_info(_mapping(document.get("machine_info"))),
    }


def environment_of_machine_info(machine: Mapping[str, Any]) -> Environment:
    """The environment in `machine_info`, with perfsuite's names of the facts. It has no GPU and no torch.

    >>> environment_of_machine_info({"system": "Linux", "machine": "x86_64", "python_version": "3.12.4"}).hard
    {'os': 'Linux x86_64', 'python': '3.12'}
    """
    cpu = _mapping(machine.get("cpu"))
    version = str(machine.get("python_version") or "")
    hard = {
        "os": f"{machine.get('system') or ''} {machine.get('machine') or ''}".strip(),
        "cpu": " ".join(str(cpu.get("brand_raw") or cpu.get("brand") or "").split()),
        "cores": cpu.get("count"),
        "python": ".".join(version.split(".")[:2]),
    }
    return Environment(
        _known_facts(hard), _known_facts({"kernel": machine.get("release"), "python_patch": version})
    )


def to_json_values(value: Any) -> Any:
    """Convert pytest-benchmark's data to JSON values: None for NaN and infinity, text for other objects.

    >>> to_json_values({"ops": float("inf"), 1: (2, {3})})
    {'ops': None, '1': [2, '{3}']}
    """
    if isinstance(value, Mapping):
        return {str(key): to_json_values(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_values(member) for member in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0:
        return to_json_values(value.item())
    return str(value)


def _known_facts(facts: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in facts.items() if value not in (None, "")}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
