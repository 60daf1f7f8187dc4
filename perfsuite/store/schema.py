"""A run as a file: pytest-benchmark's JSON with a `perfsuite` object beside, and every damage named."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from perfsuite.errors import StoreError
from perfsuite.measure.measurement import Environment, Measurement
from perfsuite.store import benchmark_json, fields

SCHEMA_VERSION = 1

# The checksum stands first in the file, so that verifying it needs no parsing: it is the SHA-256
# of every byte of the file with its own 64 digits blanked.
_CHECKSUM_PREFIX = b'{"perfsuite": {"checksum": "sha256:'
_BLANK_CHECKSUM = b"0" * 64
_CHECKSUM_SLICE = slice(len(_CHECKSUM_PREFIX), len(_CHECKSUM_PREFIX) + 64)
_NAME = re.compile(r"(?!\d+$)[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


@dataclass(frozen=True, slots=True)
class Run:
    """Every workload of one process, measured at one commit in one environment."""

    name: str
    created_at: str  # ISO 8601
    commit: str
    dirty: bool
    environment: Environment
    measurements: Mapping[str, Measurement]
    complete: bool = True
    source: str | None = field(default=None, compare=False)  # the path or URL it was read from

    @property
    def fingerprint(self) -> str:
        return self.environment.fingerprint

    @property
    def seconds_per_item(self) -> dict[str, float]:
        """The median of each workload that was timed.

        >>> took = Measurement("test_decode", seconds_per_call=(0.2, 0.2), items_per_call=10)
        >>> Run("main", "2026-08-01", "c0ffee", False, Environment({}), {took.name: took}).seconds_per_item
        {'test_decode': 0.02}
        """
        return {
            name: took.median_seconds_per_call / took.items_per_call
            for name, took in self.measurements.items()
            if took.seconds_per_call
        }


def validate_name(name: str) -> str:
    """The name of a run or baseline, or a UsageError: names become file names.

    >>> validate_name("main-2026.08")
    'main-2026.08'
    """
    if not _NAME.fullmatch(name):
        raise fields.invalid_name_error(name)
    return name


def dump(run: Run, pytest_benchmark: Mapping[str, Any], replicates: Iterable[Run] = ()) -> bytes:
    """The file of a run; `replicates` are further runs (fresh processes) kept in the same file.

    >>> data = dump(Run("main", "2026-08-01", "c0ffee", False, Environment({}), {}), {})
    >>> parse(data, "main.json").commit
    'c0ffee'
    """
    told = benchmark_json.to_json_values(pytest_benchmark)
    body = fields.run_fields(run) | {"replicates": [fields.run_fields(each) for each in replicates]}
    parts = [
        _CHECKSUM_PREFIX + _BLANK_CHECKSUM + b'", "schema": %d,\n' % SCHEMA_VERSION,
        _dump_by_lines(body)[1:],
    ]
    rest = {key: value for key, value in told.items() if key != "perfsuite"}
    data = b"".join([*parts, b",\n", _dump_by_lines({"benchmarks": []} | rest)[1:], b"\n"])
    data = _CHECKSUM_PREFIX + hashlib.sha256(data).hexdigest().encode() + data[_CHECKSUM_SLICE.stop :]
    parse_all(data, f"{run.name} (not written)")  # nothing is stored that could not be read back
    return data


def parse(data: bytes, source: str) -> Run:
    """The (newest) run in a file, own or pytest-benchmark's; StoreError names what is wrong with it."""
    return parse_all(data, source)[0]


def parse_all(data: bytes, source: str) -> tuple[Run, ...]:
    """All runs of a file, the newest first; only baselines hold more than one."""
    told = _decode_json(data, source)
    if not isinstance(told, dict):
        raise StoreError(f"{source}: holds a JSON {_json_kind(told)}, expected an object; not a run")
    if not isinstance(told.get("benchmarks"), list):
        raise StoreError(
            f"{source}: JSON without a list `benchmarks`; not a run of perfsuite or pytest-benchmark"
        )
    try:
        plain = benchmark_json.parse_benchmarks(told["benchmarks"])
        own = told.get("perfsuite")
        if own is None:
            _reject_damaged_key(told, source)
            return (Run(**benchmark_json.run_fields(told, source), measurements=plain, source=source),)
        return _own_runs(own, plain, data, source)
    except fields.FieldError as wrong:
        raise StoreError(f"{source}: {wrong}; the file was left as it is") from wrong


def pytest_benchmark_part(data: bytes, source: str) -> dict[str, Any]:
    """What a file holds for other tools: everything but the `perfsuite` object."""
    parse_all(data, source)
    told: dict[str, Any] = json.loads(data)
    told.pop("perfsuite", None)
    return told


def _own_runs(own: Any, plain: Mapping[str, Measurement], data: bytes, source: str) -> tuple[Run, ...]:
    own = fields.mapping(own, "perfsuite")
    schema = fields.integer(own, "schema")
    if schema > SCHEMA_VERSION:
        raise StoreError(
            f"{source}: written by a newer perfsuite (schema {schema}, this one reads {SCHEMA_VERSION}); "
            "upgrade perfsuite"
        )
    _verify_checksum(data, source)
    newest = Run(**fields.parse_run_fields(own), source=source)
    # Plain `benchmark` tests of the same session are in pytest-benchmark's part only.
    newest = replace(newest, measurements={**plain, **newest.measurements})
    earlier = [
        Run(**fields.parse_run_fields(fields.mapping(each, "replicates")), source=source)
        for each in fields.sequence(own, "replicates")
    ]
    return (newest, *earlier)


def _reject_damaged_key(told: Mapping[str, Any], source: str) -> None:
    """An own file whose key was damaged is not taken for one of pytest-benchmark's."""
    for key, value in told.items():
        if isinstance(value, dict) and {"checksum", "measurements"} <= value.keys():
            raise StoreError(
                f"{source}: the key `perfsuite` is damaged ({key[:20]!r}); the file was left as it is"
            )


def _verify_checksum(data: bytes, source: str) -> None:
    digits = data[_CHECKSUM_SLICE]
    if not data.startswith(_CHECKSUM_PREFIX):
        raise StoreError(
            f"{source}: the checksum is not where it was written; the file was edited or reformatted"
        )
    if (
        hashlib.sha256(_CHECKSUM_PREFIX + _BLANK_CHECKSUM + data[_CHECKSUM_SLICE.stop :]).hexdigest().encode()
        != digits
    ):
        raise StoreError(f"{source}: the checksum does not match; the file was changed after it was written")


def _decode_json(data: bytes, source: str) -> Any:
    if not data.strip():
        raise StoreError(f"{source}: empty ({len(data)} bytes), expected a run")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as wrong:
        raise StoreError(f"{source}: not UTF-8 (byte {wrong.start}); not a run") from wrong
    try:
        return json.loads(text, parse_constant=_reject_constant)
    except json.JSONDecodeError as wrong:
        cut = text.lstrip().startswith("{") and not text.rstrip().endswith("}")
        found = f"truncated ({len(data)} bytes, ends inside the JSON)" if cut else f"not JSON ({wrong})"
        raise StoreError(f"{source}: {found}; the file was left as it is") from wrong
    except (ValueError, RecursionError) as wrong:
        raise StoreError(f"{source}: {wrong or 'nested too deeply'}; the file was left as it is") from wrong


def _reject_constant(name: str) -> float:
    raise ValueError(f"holds {name}, expected finite numbers only")


def _json_kind(value: object) -> str:
    kinds = {list: "array", str: "string", bool: "boolean", type(None): "null"}
    return kinds.get(type(value), "number")


def _dump_by_lines(told: Mapping[str, Any]) -> bytes:
    """JSON with a line for each member of each list at the top: small differences in git."""
    members = []
    for key, value in told.items():
        if isinstance(value, list) and value:
            each = ",\n".join(_dump_compact(member) for member in value)
            members.append(f"{_dump_compact(key)}: [\n{each}\n]")
        else:
            members.append(f"{_dump_compact(key)}: {_dump_compact(value)}")
    return ("{" + ",\n".join(members) + "}").encode()


def _dump_compact(value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError as wrong:
        raise StoreError(
            f"a number that is not finite cannot be stored ({wrong}); nothing was written"
        ) from wrong
