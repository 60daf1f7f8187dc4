"""The fields of the `perfsuite` object: a run to JSON and back, with every field checked by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from perfsuite.errors import UsageError
from perfsuite.measure.gpu import GPU_METRICS
from perfsuite.measure.measurement import Environment, GpuReadings, Measurement, MemoryPeaks
from perfsuite.store.json_values import (
    FieldError,
    check_boolean,
    check_integer,
    check_list,
    check_object,
    check_text,
    describe_value,
    field_error,
    is_number,
)
from perfsuite.store.run import Run

_LARGEST_INTEGER = 2**1000
_GPU_FIELDS = ("energy_joules", "seconds", "calls")  # beside the medians
_MEMORY_FIELDS_BEFORE = {"peak_rss_bytes": "peak_pss_bytes"}  # names in older files


def invalid_name_error(name: str) -> UsageError:
    return UsageError(
        f"{name!r} is no name for a run, expected letters, digits and . _ + - "
        "(at most 100, not digits alone); no folders"
    )


def run_fields(run: Run) -> dict[str, Any]:
    """The `perfsuite` object of a run, as JSON values."""
    return {
        "name": run.name,
        "created_at": run.created_at,
        "commit": run.commit,
        "dirty": run.dirty,
        "complete": run.complete,
        **({"series": run.series} if run.series else {}),
        **({"selection": run.selection} if run.selection else {}),
        **({"broken_limits": list(run.broken_limits)} if run.broken_limits else {}),
        "environment": {
            "fingerprint": run.fingerprint,
            "hard": dict(run.environment.hard),
            "soft": dict(run.environment.soft),
        },
        "measurements": [
            _measurement_fields(name, measurement) for name, measurement in run.measurements.items()
        ],
    }


def _measurement_fields(name: str, measurement: Measurement) -> dict[str, Any]:
    return {
        "fullname": name,
        "seconds_per_call": list(measurement.seconds_per_call),
        "calls_per_round": measurement.calls_per_round,
        "items_per_call": measurement.items_per_call,
        "unit": measurement.unit,
        "seconds_per_call_by_stage": dict(measurement.seconds_per_call_by_stage),
        "counters": dict(measurement.counters),
        "memory": asdict(measurement.memory) if measurement.memory else None,
        "gpu": _gpu_fields(measurement.gpu) if measurement.gpu else None,
    }


def _gpu_fields(readings: GpuReadings) -> dict[str, Any]:
    other = {name: getattr(readings, name) for name in _GPU_FIELDS}
    return {**readings.medians, **other, "throttled": list(readings.throttled)}


def run_arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a Run, from the `perfsuite` object of a file."""
    environment = mapping(values.get("environment"), "environment")
    return {
        "name": string(values, "name"),
        "created_at": string(values, "created_at"),
        "commit": string(values, "commit"),
        "dirty": boolean(values, "dirty"),
        "complete": boolean(values, "complete"),
        "series": string(values, "series") if "series" in values else "",
        "selection": string(values, "selection") if "selection" in values else "",
        "broken_limits": _strings(values.get("broken_limits", []), "broken_limits"),
        "environment": Environment(
            _string_mapping(environment, "hard"), _string_mapping(environment, "soft")
        ),
        "measurements": _parse_measurements(sequence(values, "measurements")),
    }


def _strings(value: Any, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise FieldError(f"{name} is {value!r}, expected a list of text")
    return tuple(value)


def _parse_measurements(values: list[Any]) -> dict[str, Measurement]:
    measurements: dict[str, Measurement] = {}
    for each in values:
        measurement = _parse_measurement(mapping(each, "measurements"))
        if measurement.name in measurements:
            raise FieldError(f"{measurement.name!r} is measured twice, expected each name once")
        measurements[measurement.name] = measurement
    return measurements


def _parse_measurement(values: Mapping[str, Any]) -> Measurement:
    name = string(values, "fullname")
    memory, gpu = values.get("memory"), values.get("gpu")
    stages = mapping(values.get("seconds_per_call_by_stage", {}), f"{name}: stages")
    counters = mapping(values.get("counters", {}), f"{name}: counters")
    try:
        return Measurement(
            name=name,
            seconds_per_call=samples(values.get("seconds_per_call"), name),
            calls_per_round=integer(values, "calls_per_round"),
            items_per_call=number(values.get("items_per_call"), f"{name}: items_per_call", above_zero=True),
            unit=string(values, "unit"),
            seconds_per_call_by_stage={k: number(v, f"{name}: stage {k}") for k, v in stages.items()},
            counters={k: integer(counters, k) for k in counters},
            memory=None if memory is None else _parse_memory(mapping(memory, "memory")),
            gpu=None if gpu is None else _parse_gpu(mapping(gpu, "gpu")),
        )
    except TypeError as error:  # an unknown field of MemoryPeaks
        raise FieldError(f"{name}: {error}") from error


def _parse_memory(values: Mapping[str, Any]) -> MemoryPeaks:
    return MemoryPeaks(
        **{
            _MEMORY_FIELDS_BEFORE.get(key, key): None if values[key] is None else integer(values, key)
            for key in values
        }
    )


def _parse_gpu(values: Mapping[str, Any]) -> GpuReadings:
    medians = {key: number(values[key], key) for key in values if key not in (*_GPU_FIELDS, "throttled")}
    unknown = medians.keys() - {metric.name for metric in GPU_METRICS}
    if unknown:
        raise FieldError(f"gpu: {', '.join(sorted(unknown))}, expected only metrics of the GPU")
    joules = values.get("energy_joules")
    return GpuReadings(
        medians=medians,
        energy_joules=None if joules is None else number(joules, "energy_joules"),
        throttled=tuple(map(str, sequence(values, "throttled"))),
        # Older files have neither.
        seconds=number(values.get("seconds", 0.0), "seconds"),
        calls=integer(values, "calls") if "calls" in values else 0,
    )


def samples(value: Any, name: str) -> tuple[float, ...]:
    """A list of durations in seconds: finite, not negative."""
    if not isinstance(value, list):
        raise FieldError(f"{name}: samples are {describe_value(value)}, expected a list of seconds")
    if value and set(map(type, value)) == {float} and min(value) >= 0 and math.isfinite(sum(value)):
        return tuple(value)  # the same checks, ten times as fast
    return tuple(number(each, f"{name}: a sample") for each in value)


def number(value: Any, what: str, above_zero: bool = False) -> float:
    if not is_number(value):
        raise field_error(what, value, "a number")
    if isinstance(value, int) and value > _LARGEST_INTEGER:
        raise FieldError(f"{what} has {value.bit_length()} bits, expected a number that fits a float")
    if not math.isfinite(value) or value < 0 or (above_zero and value == 0):
        raise FieldError(
            f"{what} is {value}, expected a finite number {'above' if above_zero else 'not below'} 0"
        )
    return value


def integer(values: Mapping[str, Any], key: str) -> int:
    return check_integer(values.get(key), f"`{key}`")


def string(values: Mapping[str, Any], key: str) -> str:
    return check_text(values.get(key), f"`{key}`")


def boolean(values: Mapping[str, Any], key: str) -> bool:
    return check_boolean(values.get(key), f"`{key}`")


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    return check_object(value, f"`{what}`")


def sequence(values: Mapping[str, Any], key: str) -> list[Any]:
    return check_list(values.get(key), f"`{key}`")


def _string_mapping(values: Mapping[str, Any], key: str) -> dict[str, str]:
    members = mapping(values.get(key), key)
    return {name: string(members, name) for name in members}
