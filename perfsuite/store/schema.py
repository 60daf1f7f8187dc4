"""The file of a run: pytest-benchmark's JSON plus a `perfsuite` object. Errors name the damage."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from perfsuite.errors import StoreError
from perfsuite.measure.measurement import Measurement
from perfsuite.store import benchmark_json, fields
from perfsuite.store.json_values import FieldError
from perfsuite.store.locations import refuse_large
from perfsuite.store.run import Run

SCHEMA_VERSION = 1

# The checksum comes first in the file, so that verifying it needs no parsing. It is the SHA-256 of all bytes
# of the file, with its own 64 digits replaced by zeros.
_CHECKSUM_PREFIX = b'{"perfsuite": {"checksum": "sha256:'
_BLANK_CHECKSUM = b"0" * 64
_CHECKSUM_SLICE = slice(len(_CHECKSUM_PREFIX), len(_CHECKSUM_PREFIX) + 64)
_NAME = re.compile(r"(?!\d+$)[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


def validate_name(name: str) -> str:
    """Return a valid name of a run or baseline, or raise UsageError. Names become file names.

    >>> validate_name("main-2026.08")
    'main-2026.08'
    """
    if not _NAME.fullmatch(name):
        raise fields.invalid_name_error(name)
    return name


def dump(run: Run, pytest_benchmark: Mapping[str, Any], replicates: Iterable[Run] = ()) -> bytes:
    """The bytes of a run's file; `replicates` are further runs (fresh processes) in the same file.

    >>> from perfsuite.measure.measurement import Environment
    >>> data = dump(Run("main", "2026-08-01", "c0ffee", False, Environment({}), {}), {})
    >>> parse(data, "main.json").commit
    'c0ffee'
    """
    other_fields = benchmark_json.to_json_values(pytest_benchmark)
    body = fields.run_fields(run) | {"replicates": [fields.run_fields(each) for each in replicates]}
    parts = [
        _CHECKSUM_PREFIX + _BLANK_CHECKSUM + b'", "schema": %d,\n' % SCHEMA_VERSION,
        _dump_by_lines(body)[1:],
    ]
    rest = {key: value for key, value in other_fields.items() if key != "perfsuite"}
    data = b"".join([*parts, b",\n", _dump_by_lines({"benchmarks": []} | rest)[1:], b"\n"])
    data = _CHECKSUM_PREFIX + hashlib.sha256(data).hexdigest().encode() + data[_CHECKSUM_SLICE.stop :]
    parse_all(data, f"{run.name} (not written)")  # raises if it could not be read back
    return data


def parse(data: bytes, source: str) -> Run:
    """The newest run in a file of perfsuite or pytest-benchmark; StoreError names any damage."""
    return parse_all(data, source)[0]


def parse_all(data: bytes, source: str) -> tuple[Run, ...]:
    """All runs in a file, the newest first. Only a baseline has more than one."""
    document = _decode_json(data, source)
    if not isinstance(document, dict):
        raise StoreError(f"{source}: a JSON {_json_kind(document)}, expected an object; not a run")
    if not isinstance(document.get("benchmarks"), list):
        raise StoreError(
            f"{source}: JSON without a list `benchmarks`; not a run of perfsuite or pytest-benchmark"
        )
    try:
        plain = benchmark_json.parse_benchmarks(document["benchmarks"])
        own = document.get("perfsuite")
        if own is None:
            _reject_damaged_key(document, source)
            run = benchmark_json.run_arguments(document, source)
            return (Run(**run, measurements=plain, source=source),)
        return _own_runs(own, plain, data, source)
    except FieldError as error:
        raise StoreError(f"{source}: {error}; the file was not changed") from error


def pytest_benchmark_part(data: bytes, source: str) -> dict[str, Any]:
    """The part of a file for other tools: everything but the `perfsuite` object."""
    parse_all(data, source)
    document: dict[str, Any] = json.loads(data)
    document.pop("perfsuite", None)
    return document


def _own_runs(own: Any, plain: Mapping[str, Measurement], data: bytes, source: str) -> tuple[Run, ...]:
    own = fields.mapping(own, "perfsuite")
    schema = fields.integer(own, "schema")
    if schema > SCHEMA_VERSION:
        raise StoreError(
            f"{source}: written by a newer perfsuite (schema {schema}, this one reads {SCHEMA_VERSION}); "
            "upgrade perfsuite"
        )
    _verify_checksum(data, source)
    newest = Run(**fields.run_arguments(own), source=source)
    # Tests of the same session that use `benchmark` directly are only in pytest-benchmark's part.
    newest = replace(newest, measurements={**plain, **newest.measurements})
    earlier = [
        Run(**fields.run_arguments(fields.mapping(each, "replicates")), source=source)
        for each in fields.sequence(own, "replicates")
    ]
    return (newest, *earlier)


def _reject_damaged_key(document: Mapping[str, Any], source: str) -> None:
    """Raise StoreError for a file of perfsuite whose key is damaged; it is no file of pytest-benchmark."""
    for key, value in document.items():
        if isinstance(value, dict) and {"checksum", "measurements"} <= value.keys():
            raise StoreError(
                f"{source}: the key `perfsuite` is damaged ({key[:20]!r}); the file was not changed"
            )


def _verify_checksum(data: bytes, source: str) -> None:
    digits = data[_CHECKSUM_SLICE]
    if not data.startswith(_CHECKSUM_PREFIX):
        raise StoreError(f"{source}: the checksum is not at its place; the file was edited or reformatted")
    if (
        hashlib.sha256(_CHECKSUM_PREFIX + _BLANK_CHECKSUM + data[_CHECKSUM_SLICE.stop :]).hexdigest().encode()
        != digits
    ):
        raise StoreError(f"{source}: the checksum does not match; the file was changed after it was written")


def _decode_json(data: bytes, source: str) -> Any:
    if not data.strip():
        raise StoreError(f"{source}: empty ({len(data)} bytes), expected a run")
    refuse_large(source, len(data))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StoreError(f"{source}: not UTF-8 (byte {error.start}); not a run") from error
    try:
        return json.loads(text, parse_constant=_reject_constant)
    except json.JSONDecodeError as error:
        is_truncated = text.lstrip().startswith("{") and not text.rstrip().endswith("}")
        ends = f"truncated ({len(data)} bytes, ends inside the JSON)"
        damage = ends if is_truncated else f"not JSON ({error})"
        raise StoreError(f"{source}: {damage}; the file was not changed") from error
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{source}: {error or 'nested too deeply'}; the file was not changed") from error


def _reject_constant(name: str) -> float:
    raise ValueError(f"contains {name}, expected finite numbers only")


def _json_kind(value: object) -> str:
    kinds = {list: "array", str: "string", bool: "boolean", type(None): "null"}
    return kinds.get(type(value), "number")


def _dump_by_lines(document: Mapping[str, Any]) -> bytes:
    """JSON with one line per member of each top-level list, so that diffs in git are small."""
    members = []
    for key, value in document.items():
        if isinstance(value, list) and value:
            each = ",\n".join(_dump_compact(member) for member in value)
            members.append(f"{_dump_compact(key)}: [\n{each}\n]")
        else:
            members.append(f"{_dump_compact(key)}: {_dump_compact(value)}")
    return ("{" + ",\n".join(members) + "}").encode()


def _dump_compact(value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise StoreError(
            f"a number that is not finite cannot be stored ({error}); nothing was written"
        ) from error
