"""The fields of the `perfsuite` object: how a run becomes JSON and back, each field checked by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from perfsuite.errors import UsageError
from perfsuite.measure.measurement import Environment, GpuReadings, Measurement, Memory

if TYPE_CHECKING:
    from perfsuite.store.schema import Run


_LARGEST = 2**1000


class FieldError(ValueError):
    """What is wrong with a field; the reader adds the name of the file."""


def bad_name(name: str) -> UsageError:
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


def parsed_run(told: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a Run."""
    environment = mapping(told.get("environment"), "environment")
    return {
        "name": text(told, "name"),
        "created_at": text(told, "created_at"),
        "commit": text(told, "commit"),
        "dirty": boolean(told, "dirty"),
        "complete": boolean(told, "complete"),
        "environment": Environment(_texts(environment, "hard"), _texts(environment, "soft")),
        "measurements": _measurements(sequence(told, "measurements")),
    }


def _measurements(told: list[Any]) -> dict[str, Measurement]:
    found: dict[str, Measurement] = {}
    for each in told:
        took = _measurement(mapping(each, "measurements"))
        if took.name in found:
            raise FieldError(f"{took.name!r} is measured twice, expected each name once")
        found[took.name] = took
    return found


def _measurement(told: Mapping[str, Any]) -> Measurement:
    name = text(told, "fullname")
    memory, gpu = told.get("memory"), told.get("gpu")
    stages = mapping(told.get("seconds_per_call_by_stage", {}), f"{name}: stages")
    counters = mapping(told.get("counters", {}), f"{name}: counters")
    try:
        return Measurement(
            name=name,
            seconds_per_call=samples(told.get("seconds_per_call"), name),
            calls_per_round=integer(told, "calls_per_round"),
            items_per_call=number(told.get("items_per_call"), f"{name}: items_per_call", above_zero=True),
            unit=text(told, "unit"),
            seconds_per_call_by_stage={k: number(v, f"{name}: stage {k}") for k, v in stages.items()},
            counters={k: integer(counters, k) for k in counters},
            memory=None if memory is None else _memory(mapping(memory, "memory")),
            gpu=None if gpu is None else _gpu(mapping(gpu, "gpu")),
        )
    except TypeError as wrong:  # an unknown field of Memory or GpuReadings
        raise FieldError(f"{name}: {wrong}") from wrong


def _memory(told: Mapping[str, Any]) -> Memory:
    return Memory(**{key: None if told[key] is None else integer(told, key) for key in told})


def _gpu(told: Mapping[str, Any]) -> GpuReadings:
    readings = {key: number(told[key], key) for key in told if key != "throttled"}
    return GpuReadings(**readings, throttled=tuple(map(str, sequence(told, "throttled"))))


def samples(value: Any, name: str) -> tuple[float, ...]:
    """Seconds that can have passed: finite, not negative."""
    if not isinstance(value, list):
        raise FieldError(f"{name}: samples are {_kind(value)}, expected a list of seconds")
    if value and set(map(type, value)) == {float} and min(value) >= 0 and math.isfinite(sum(value)):
        return tuple(value)  # the same check, ten times as fast
    return tuple(number(each, f"{name}: a sample") for each in value)


def number(value: Any, what: str, above_zero: bool = False) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FieldError(f"{what} is {_kind(value)}, expected a number")
    if isinstance(value, int) and value > _LARGEST:
        raise FieldError(f"{what} has {value.bit_length()} bits, expected a number that fits a float")
    if not math.isfinite(value) or value < 0 or (above_zero and value == 0):
        raise FieldError(
            f"{what} is {value}, expected a finite number {'above' if above_zero else 'not below'} 0"
        )
    return value


def integer(told: Mapping[str, Any], key: str) -> int:
    value = told.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise FieldError(f"`{key}` is {_kind(value)}, expected a whole number")
    return value


def text(told: Mapping[str, Any], key: str) -> str:
    value = told.get(key)
    if not isinstance(value, str):
        raise FieldError(f"`{key}` is {_kind(value)}, expected text")
    return value


def boolean(told: Mapping[str, Any], key: str) -> bool:
    value = told.get(key)
    if not isinstance(value, bool):
        raise FieldError(f"`{key}` is {_kind(value)}, expected true or false")
    return value


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise FieldError(f"`{what}` is {_kind(value)}, expected an object")
    return value


def sequence(told: Mapping[str, Any], key: str) -> list[Any]:
    value = told.get(key)
    if not isinstance(value, list):
        raise FieldError(f"`{key}` is {_kind(value)}, expected a list")
    return value


def _texts(told: Mapping[str, Any], key: str) -> dict[str, str]:
    members = mapping(told.get(key), key)
    return {name: text(members, name) for name in members}


def _kind(value: object) -> str:
    return "absent" if value is None else f"{type(value).__name__} {str(value)[:40]!r}"
