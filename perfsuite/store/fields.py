"""The fields of the `perfsuite` object: how a run becomes JSON and back, each field checked by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from perfsuite.errors import UsageError
from perfsuite.measure.measurement import Environment, GpuReadings, Measurement, MemoryPeaks

if TYPE_CHECKING:
    from perfsuite.store.schema import Run


_LARGEST_INTEGER = 2**1000


class FieldError(ValueError):
    """What is wrong with a field; the reader adds the name of the file."""


def invalid_name_error(name: str) -> UsageError:
    return UsageError(
        f"{name!r} is no name for a run, expected letters, digits and . _ + - "
        "(at most 100, not digits alone); no folders"
    )


def run_fields(run: Run) -> dict[str, Any]:
    return {
        "name": run.name,
        "created_at": run.created_at,
        "commit": run.commit,
        "dirty": run.dirty,
        "complete": run.complete,
        "environment": {
            "fingerprint": run.fingerprint,
            "hard": dict(run.environment.hard),
            "soft": dict(run.environment.soft),
        },
        "measurements": [_measurement_fields(name, took) for name, took in run.measurements.items()],
    }


def _measurement_fields(name: str, took: Measurement) -> dict[str, Any]:
    return {
        "fullname": name,
        "seconds_per_call": list(took.seconds_per_call),
        "calls_per_round": took.calls_per_round,
        "items_per_call": took.items_per_call,
        "unit": took.unit,
        "seconds_per_call_by_stage": dict(took.seconds_per_call_by_stage),
        "counters": dict(took.counters),
        "memory": asdict(took.memory) if took.memory else None,
        "gpu": asdict(took.gpu) if took.gpu else None,
    }


def parse_run_fields(told: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a Run."""
    environment = mapping(told.get("environment"), "environment")
    return {
        "name": string(told, "name"),
        "created_at": string(told, "created_at"),
        "commit": string(told, "commit"),
        "dirty": boolean(told, "dirty"),
        "complete": boolean(told, "complete"),
        "environment": Environment(
            _string_mapping(environment, "hard"), _string_mapping(environment, "soft")
        ),
        "measurements": _parse_measurements(sequence(told, "measurements")),
    }


def _parse_measurements(told: list[Any]) -> dict[str, Measurement]:
    found: dict[str, Measurement] = {}
    for each in told:
        took = _parse_measurement(mapping(each, "measurements"))
        if took.name in found:
            raise FieldError(f"{took.name!r} is measured twice, expected each name once")
        found[took.name] = took
    return found


def _parse_measurement(told: Mapping[str, Any]) -> Measurement:
    name = string(told, "fullname")
    memory, gpu = told.get("memory"), told.get("gpu")
    stages = mapping(told.get("seconds_per_call_by_stage", {}), f"{name}: stages")
    counters = mapping(told.get("counters", {}), f"{name}: counters")
    try:
        return Measurement(
            name=name,
            seconds_per_call=samples(told.get("seconds_per_call"), name),
            calls_per_round=integer(told, "calls_per_round"),
            items_per_call=number(told.get("items_per_call"), f"{name}: items_per_call", above_zero=True),
            unit=string(told, "unit"),
            seconds_per_call_by_stage={k: number(v, f"{name}: stage {k}") for k, v in stages.items()},
            counters={k: integer(counters, k) for k in counters},
            memory=None if memory is None else _parse_memory(mapping(memory, "memory")),
            gpu=None if gpu is None else _parse_gpu(mapping(gpu, "gpu")),
        )
    except TypeError as wrong:  # an unknown field of Memory or GpuReadings
        raise FieldError(f"{name}: {wrong}") from wrong


def _parse_memory(told: Mapping[str, Any]) -> MemoryPeaks:
    return MemoryPeaks(**{key: None if told[key] is None else integer(told, key) for key in told})


def _parse_gpu(told: Mapping[str, Any]) -> GpuReadings:
    readings = {key: number(told[key], key) for key in told if key != "throttled"}
    return GpuReadings(**readings, throttled=tuple(map(str, sequence(told, "throttled"))))


def samples(value: Any, name: str) -> tuple[float, ...]:
    """Seconds that can have passed: finite, not negative."""
    if not isinstance(value, list):
        raise FieldError(f"{name}: samples are {_describe_value(value)}, expected a list of seconds")
    if value and set(map(type, value)) == {float} and min(value) >= 0 and math.isfinite(sum(value)):
        return tuple(value)  # the same check, ten times as fast
    return tuple(number(each, f"{name}: a sample") for each in value)


def number(value: Any, what: str, above_zero: bool = False) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FieldError(f"{what} is {_describe_value(value)}, expected a number")
    if isinstance(value, int) and value > _LARGEST_INTEGER:
        raise FieldError(f"{what} has {value.bit_length()} bits, expected a number that fits a float")
    if not math.isfinite(value) or value < 0 or (above_zero and value == 0):
        raise FieldError(
            f"{what} is {value}, expected a finite number {'above' if above_zero else 'not below'} 0"
        )
    return value


def integer(told: Mapping[str, Any], key: str) -> int:
    value = told.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise FieldError(f"`{key}` is {_describe_value(value)}, expected a whole number")
    return value


def string(told: Mapping[str, Any], key: str) -> str:
    value = told.get(key)
    if not isinstance(value, str):
        raise FieldError(f"`{key}` is {_describe_value(value)}, expected text")
    return value


def boolean(told: Mapping[str, Any], key: str) -> bool:
    value = told.get(key)
    if not isinstance(value, bool):
        raise FieldError(f"`{key}` is {_describe_value(value)}, expected true or false")
    return value


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise FieldError(f"`{what}` is {_describe_value(value)}, expected an object")
    return value


def sequence(told: Mapping[str, Any], key: str) -> list[Any]:
    value = told.get(key)
    if not isinstance(value, list):
        raise FieldError(f"`{key}` is {_describe_value(value)}, expected a list")
    return value


def _string_mapping(told: Mapping[str, Any], key: str) -> dict[str, str]:
    members = mapping(told.get(key), key)
    return {name: string(members, name) for name in members}


def _describe_value(value: object) -> str:
    return "absent" if value is None else f"{type(value).__name__} {str(value)[:40]!r}"
