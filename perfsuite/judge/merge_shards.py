"""Merge the reports of all shards of a gate into one report with one verdict."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from perfsuite.errors import UsageError
from perfsuite.judge.gate_report import GateReport, WorkloadGateResult
from perfsuite.judge.gate_shard import Shard, ShardRecord
from perfsuite.judge.verdict import Outcome, Verdict, severity_key

# What must be the same in all shards for one promise to cover them.
_COMMON_FIELDS = ("alpha", "tolerance", "target_mde", "max_pairs")


def merge_shards(reports: Mapping[str, GateReport]) -> GateReport:
    """One report of these shards, by the names of their files. A shard that is not among them is missing.

    UsageError where they are no shards, or not of one gate, or one occurs twice: choosing among several runs
    of one shard would be repeating a gate until it is green.
    """
    if not reports:
        raise UsageError("no report, expected the gate.json of every shard")
    by_shard: dict[Shard, str] = {}
    for source, report in reports.items():
        shard = _record(source, report).shard
        if shard in by_shard:
            raise UsageError(
                f"{source}: shard {shard} again, expected it once (also in {by_shard[shard]}); "
                "a shard is not repeated until it is green"
            )
        by_shard[shard] = source
    sources = [by_shard[shard] for shard in sorted(by_shard)]
    for source in sources[1:]:
        _refuse_another_gate((sources[0], reports[sources[0]]), (source, reports[source]))
    return _merged({shard: reports[by_shard[shard]] for shard in sorted(by_shard)})


def _record(source: str, report: GateReport) -> ShardRecord:
    if report.shard is None:
        raise UsageError(f"{source}: the report of a whole gate, expected one of perfsuite gate --shard K/N")
    return report.shard


def _refuse_another_gate(first: tuple[str, GateReport], other: tuple[str, GateReport]) -> None:
    facts, others = _common_facts(*first), _common_facts(*other)
    for name in sorted(facts.keys() | others.keys()):
        expected, found = facts.get(name, "absent"), others.get(name, "absent")
        if found != expected:
            raise UsageError(
                f"{other[0]}: {name} is {found!r}, expected {expected!r} as in {first[0]}; "
                "all shards must come from one gate"
            )


def _common_facts(source: str, report: GateReport) -> dict[str, str]:
    """What all shards of one gate have in common."""
    record = _record(source, report)
    facts = {name.replace("_", "-"): f"{getattr(report, name):g}" for name in _COMMON_FIELDS}
    for name, side in (("base", report.base), ("head", report.head)):
        facts[f"commit of {name}"] = side.commit
        facts[f"uncommitted files of {name}"] = ", ".join(side.uncommitted)
    facts["number of shards"] = str(record.shard.count)
    facts["tests collected by all"] = f"{record.collected_tests} ({record.collected_digest[:12]})"
    return facts | {f"setting {name}": value for name, value in report.settings.items()}


def _merged(reports: Mapping[Shard, GateReport]) -> GateReport:
    shards = list(reports.values())
    results = [result for report in shards for result in report.workloads]
    return replace(
        shards[0],
        workloads=(*_without_repetition(results), *_missing_shards(reports)),
        command="",
        pairs=sum(report.pairs for report in shards),
        null_log_ratios={
            name: ratios for report in shards for name, ratios in report.null_log_ratios.items()
        },
        unfit=tuple(dict.fromkeys(name for report in shards for name in report.unfit)),
        skipped={name: reason for report in shards for name, reason in report.skipped.items()},
        notes=tuple(_notes(reports)),
        seconds=max(report.seconds for report in shards),
        interrupted=any(report.interrupted for report in shards),
        advice=tuple(dict.fromkeys(word for report in shards for word in report.advice)),
        shard=None,
        merged_shards=next(iter(reports)).count,
    )


def _without_repetition(results: Iterable[WorkloadGateResult]) -> list[WorkloadGateResult]:
    """Every name once, with its worst result: a file that cannot be collected is named by each shard."""
    worst: dict[str, WorkloadGateResult] = {}
    for result in results:
        known = worst.get(result.name)
        if known is None or severity_key(result.worst) < severity_key(known.worst):
            worst[result.name] = result
    return list(worst.values())


def _missing_shards(found: Collection[Shard]) -> list[WorkloadGateResult]:
    count = next(iter(found)).count
    every_shard = [Shard(number, count) for number in range(1, count + 1)]
    return [_missing_result(f"shard {shard}") for shard in every_shard if shard not in found]


def _missing_result(name: str) -> WorkloadGateResult:
    reason = "no report of it was given, so that its benchmarks are not compared; did its job fail?"
    return WorkloadGateResult(name=name, verdicts=(Verdict(name, "time", Outcome.MISSING, reason),))


def _notes(reports: Mapping[Shard, GateReport]) -> Iterable[str]:
    """A note that all shards have, once; others with the shard that they are from."""
    everywhere = set.intersection(*(set(report.notes) for report in reports.values()))
    yield from (note for note in dict.fromkeys(next(iter(reports.values())).notes) if note in everywhere)
    for shard, report in reports.items():
        yield from (f"shard {shard}: {note}" for note in report.notes if note not in everywhere)
    environments = {report.environment.fingerprint for report in reports.values()}
    if len(environments) > 1:
        yield f"the shards ran in {len(environments)} different environments"
