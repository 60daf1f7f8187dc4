"""Read a gate's JSON report back. Its writer may be hostile: every size, type and range is checked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from math import inf, isfinite
from typing import Any, TypeVar

from perfsuite.errors import StoreError
from perfsuite.judge.gate_report import GateReport, SideRevision, WorkloadGateResult
from perfsuite.judge.gate_shard import MAX_SHARDS, Shard, ShardRecord
from perfsuite.judge.stage_attribution import StageChange
from perfsuite.judge.verdict import Interval, Outcome, Verdict
from perfsuite.measure.measurement import Environment
from perfsuite.report.report import SCHEMA_VERSION
from perfsuite.store.json_values import FieldError, check_boolean, field_error, is_integer, is_number

MAX_FILE_BYTES = 16 * 2**20
MAX_TEXT = 10_000  # characters
MAX_MEMBERS = 20_000  # of a list or an object
MAX_LOG_RATIO = 700.0  # of times; that of a larger one is beyond a float
_MAX_INTEGER = 2**63

Item = TypeVar("Item")


def parse_gate_report(data: bytes, source: str) -> GateReport:
    """The gate in a `gate.json`. Headline, exit code and order follow from its verdicts, not from the file.

    The command that repeats the gate is left out: a reader would run what somebody else wrote.
    """
    if len(data) > MAX_FILE_BYTES:
        raise StoreError(
            f"{source}: {len(data)} bytes, expected at most {MAX_FILE_BYTES}; not a report of a gate"
        )
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{source}: not JSON ({error}), expected the gate.json of a gate") from error
    try:
        return _gate(_Object(document, "report"))
    except FieldError as error:
        raise StoreError(f"{source}: {error}; not a report that this perfsuite can read") from error


class _Object:
    """A JSON object whose members are read with their types."""

    def __init__(self, value: object, who: str) -> None:
        if not isinstance(value, dict) or len(value) > MAX_MEMBERS:
            raise field_error(who, value, f"an object of at most {MAX_MEMBERS} members")
        self.values: Mapping[str, Any] = value
        self.who = who

    def read(self, key: str, convert: Callable[[object, str], Item]) -> Item:
        return convert(self.values.get(key), f"{self.who}.{key}")

    def text(self, key: str) -> str:
        return self.read(key, _text)

    def number(self, key: str) -> float:
        return self.read(key, _number)

    def integer(self, key: str) -> int:
        return self.read(key, _integer)

    def list(self, key: str, convert: Callable[[object, str], Item]) -> tuple[Item, ...]:
        return self.read(key, lambda value, who: _list(value, who, convert))

    def mapping(self, key: str, convert: Callable[[object, str], Item]) -> dict[str, Item]:
        members = _Object(self.values.get(key), f"{self.who}.{key}")
        return {_text(name, members.who): members.read(name, convert) for name in members.values}


def _text(value: object, who: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise field_error(who, value, f"text of at most {MAX_TEXT} characters")
    return value


def _integer(value: object, who: str) -> int:
    if not is_integer(value) or abs(value) >= _MAX_INTEGER:
        raise field_error(who, value, "a whole number")
    return value


def _number(value: object, who: str) -> float:
    if not is_number(value) or abs(value) >= 1e300 or not isfinite(value):
        raise field_error(who, value, "a finite number")
    return float(value)


def _optional_number(value: object, who: str) -> float | None:
    return None if value is None else _number(value, who)


def _advice(value: object, who: str) -> str:
    """An option with a number, and nothing else: a reader may type it."""
    text = _text(value, who)
    if not re.fullmatch(r"--time-budget [0-9]{1,6}[sm]|--max-pairs [0-9]{1,3}", text):
        raise field_error(who, text, "--time-budget TIME or --max-pairs N")
    return text


def _optional_integer(value: object, who: str) -> int | None:
    return None if value is None else _integer(value, who)


def _number_or_infinity(value: object, who: str) -> float:
    """JSON has no infinity, so that a report holds null instead."""
    return inf if value is None else _number(value, who)


def _log_ratio(value: object, who: str) -> float:
    log_ratio = _number_or_infinity(value, who)
    if MAX_LOG_RATIO < log_ratio < inf:
        raise field_error(who, value, f"a log ratio of at most {MAX_LOG_RATIO}, or null")
    return log_ratio


def _list(value: object, who: str, convert: Callable[[object, str], Item]) -> tuple[Item, ...]:
    if not isinstance(value, list) or len(value) > MAX_MEMBERS:
        raise field_error(who, value, f"a list of at most {MAX_MEMBERS} members")
    return tuple(convert(member, f"{who}[{position}]") for position, member in enumerate(value))


def _pair(convert: Callable[[object, str], Item]) -> Callable[[object, str], tuple[Item, Item]]:
    def read(value: object, who: str) -> tuple[Item, Item]:
        members = _list(value, who, convert)
        if len(members) != 2:
            raise field_error(who, value, "a list of two: base and head")
        return members[0], members[1]

    return read


def _gate(report: _Object) -> GateReport:
    schema = report.integer("schema")
    if schema != SCHEMA_VERSION:
        raise field_error("report.schema", schema, str(SCHEMA_VERSION))
    return GateReport(
        base=report.read("base", _side),
        head=report.read("head", _side),
        workloads=report.list("workloads", _workload),
        environment=report.read("environment", _environment),
        command="",
        alpha=report.number("alpha"),
        tolerance=report.number("tolerance"),
        target_mde=report.number("target_mde"),
        max_pairs=report.integer("max_pairs"),
        pairs=report.integer("pairs"),
        null_log_ratios=report.mapping("null_log_ratios", lambda value, who: _list(value, who, _log_ratio)),
        unfit=report.list("unfit", _text),
        skipped=report.mapping("skipped", _text),
        notes=report.list("notes", _text),
        seconds=report.number("seconds"),
        seed=report.integer("seed"),
        interrupted=report.read("interrupted", check_boolean),
        **_later_fields(report),
    )


def _later_fields(report: _Object) -> dict[str, Any]:
    """Fields that a report of an earlier perfsuite lacks."""
    fields: dict[str, Any] = {}
    if "advice" in report.values:
        fields["advice"] = report.list("advice", _advice)
    if "settings" in report.values:
        fields["settings"] = report.mapping("settings", _text)
    if report.values.get("shard") is not None:
        fields["shard"] = report.read("shard", _shard_record)
    if "merged_shards" in report.values:
        fields["merged_shards"] = report.integer("merged_shards")
    return fields


def _shard_record(value: object, who: str) -> ShardRecord:
    record = _Object(value, who)
    shard = _Object(record.values.get("shard"), f"{who}.shard")
    number, count = shard.integer("number"), shard.integer("count")
    if not 1 <= number <= count <= MAX_SHARDS:
        raise field_error(f"{who}.shard", f"{number}/{count}", f"K/N with K up to N and N up to {MAX_SHARDS}")
    return ShardRecord(
        shard=Shard(number, count),
        collected_tests=record.integer("collected_tests"),
        collected_digest=record.text("collected_digest"),
    )


def _side(value: object, who: str) -> SideRevision:
    side = _Object(value, who)
    return SideRevision(
        label=side.text("label"),
        commit=side.text("commit"),
        subject=side.text("subject"),
        uncommitted=side.list("uncommitted", _text),
    )


def _environment(value: object, who: str) -> Environment:
    environment = _Object(value, who)
    return Environment(environment.mapping("hard", _text), environment.mapping("soft", _text))


def _workload(value: object, who: str) -> WorkloadGateResult:
    workload = _Object(value, who)
    verdicts = workload.list("verdicts", _verdict)
    if not verdicts:
        raise field_error(f"{who}.verdicts", [], "one verdict or more")
    seconds = workload.values.get("seconds_per_call")
    return WorkloadGateResult(
        name=workload.text("name"),
        verdicts=verdicts,
        file=workload.text("file"),
        line=workload.integer("line"),
        log_ratios=workload.list("log_ratios", _log_ratio),
        seconds_per_call=None if seconds is None else _pair(_number)(seconds, f"{who}.seconds_per_call"),
        stages=workload.list("stages", _stage),
        counters=workload.mapping("counters", _pair(_integer)),
        standard_errors=workload.list("standard_errors", _number_or_infinity),
        timing_reason=workload.text("timing_reason") if "timing_reason" in workload.values else "",
    )


def _stage(value: object, who: str) -> StageChange:
    stage = _Object(value, who)
    return StageChange(
        stage=stage.text("stage"),
        base_seconds=stage.number("base_seconds"),
        head_seconds=stage.number("head_seconds"),
        change_seconds=stage.number("change_seconds"),
    )


def _verdict(value: object, who: str) -> Verdict:
    verdict = _Object(value, who)
    interval = verdict.values.get("interval")
    return Verdict(
        workload=verdict.text("workload"),
        metric=verdict.text("metric"),
        outcome=verdict.read("outcome", _outcome),
        reason=verdict.text("reason"),
        estimate=verdict.read("estimate", _optional_number),
        interval=None if interval is None else _interval(interval, f"{who}.interval"),
        bound=verdict.read("bound", _optional_number),
        mde=verdict.read("mde", _optional_number),
        missing_pairs=verdict.read("missing_pairs", _optional_integer),
        **{name: verdict.text(name) for name in ("reference", "evidence") if name in verdict.values},
    )


def _outcome(value: object, who: str) -> Outcome:
    if not isinstance(value, str) or value not in Outcome.__members__.values():
        raise field_error(who, value, f"one of {', '.join(Outcome)}")
    return Outcome(value)


def _interval(value: object, who: str) -> Interval:
    interval = _Object(value, who)
    low, high = (interval.values.get(key) for key in ("low", "high"))
    return Interval(
        low=-inf if low is None else _number(low, f"{who}.low"),
        high=inf if high is None else _number(high, f"{who}.high"),
        level=interval.number("level"),
    )
