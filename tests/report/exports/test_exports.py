"""Every export is accepted by its reader: its parser where that is light, else its published rules."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from perfsuite.errors import UsageError
from perfsuite.measure.measurement import Environment, Measurement, MemoryPeaks
from perfsuite.report.exports.bmf import MAX_NAME, shorten_name
from perfsuite.report.exports.registry import EXPORTS
from perfsuite.store.run import Run

NASTY = 'tests/test_a.py::test_b["quoted\\", back\\slash\nline \x1b[31m, ünïcode]'
FORMULA = "=cmd()"
HERE = Environment(
    {"os": "Linux x86_64", "cpu": "invented", "cores": "2", "python": "3.12"}, {"memory_gib": "8"}
)


def a_run(*names: str, seconds: tuple[float, ...] = (0.010, 0.011, 0.012), commit: str = "c" * 40) -> Run:
    took = {
        name: Measurement(
            name,
            tuple(value * (1 + number) for value in seconds),
            calls_per_round=4,
            items_per_call=8.0,
            unit="images",
            counters={"dispatched_ops": 7},
            memory=MemoryPeaks(peak_pss_bytes=1 << 20),
        )
        for number, name in enumerate(names or ("test_plain", NASTY, FORMULA))
    }
    return Run("main", "2026-08-01T12:00:00+00:00", commit, False, HERE, took)


def export(name: str, *runs: Run) -> str:
    return EXPORTS[name].render(runs or (a_run(),))


def test_the_formats() -> None:
    assert {"asv", "bmf", "csv", "github-action-benchmark", "prometheus"} <= set(EXPORTS)


@pytest.mark.parametrize("name", sorted(EXPORTS))
def test_no_format_lets_a_name_control_a_terminal(name: str) -> None:
    assert "\x1b" not in export(name)


def test_csv_is_read_back_by_the_csv_module() -> None:
    rows = list(csv.DictReader(io.StringIO(export("csv", a_run(), a_run("test_plain", seconds=(0.02,))))))
    assert [row["benchmark"] for row in rows][::3] == ["test_plain", "test_plain"]
    assert float(rows[0]["median_seconds_per_call"]) == 0.011
    assert float(rows[0]["items_per_second"]) == pytest.approx(8 / 0.011)
    assert rows[0]["counter dispatched_ops"] == "7"
    assert rows[2]["benchmark"] == "'=cmd()", "a spreadsheet would run it"
    assert len({len(row) for row in rows}) == 1


def test_csv_of_what_was_only_counted() -> None:
    only = replace(a_run(), measurements={"test": Measurement("test", (), counters={"casts": 1})})
    (row,) = csv.DictReader(io.StringIO(export("csv", only)))
    assert (row["median_seconds_per_call"], row["counter casts"], row["rounds"]) == ("", "1", "0")


def bmf_faults(document: Any) -> list[str]:
    """The rules of https://bencher.dev/bmf.json, and the lengths on the page of the format."""
    faults = [] if isinstance(document, dict) and document else ["not an object with benchmarks"]
    for benchmark, measures in document.items():
        faults += [f"{benchmark}: no object"] * (not isinstance(measures, dict))
        faults += ["name"] * (not 0 < len(benchmark) <= 1024)
        for measure, metric in measures.items():
            faults += [f"{measure}: name"] * (not re.fullmatch(r"[a-z0-9-]{1,64}", measure))
            faults += [f"{measure}: no value"] * ("value" not in metric)
            faults += [f"{measure}: unknown"] * (not metric.keys() <= {"value", "lower_value", "upper_value"})
            faults += [f"{measure}: no number"] * any(
                type(each) not in (int, float) for each in metric.values()
            )
    return faults


def test_bmf_follows_bencher_s_schema() -> None:
    document = json.loads(export("bmf"))
    assert bmf_faults(document) == []
    latency = document["test_plain"]["latency"]
    assert latency["value"] == pytest.approx(0.011e9), "nanoseconds"
    assert latency["lower_value"] <= latency["value"] <= latency["upper_value"]
    assert document["test_plain"]["throughput"]["value"] == pytest.approx(8 / 0.011)
    assert document["test_plain"]["dispatched-ops"]["value"] == 7


@pytest.mark.parametrize(
    "planted",
    [
        {"t": {"latency": {"lower_value": 1.0}}},
        {"t": {"latency": {"value": None}}},
        {"t": {"La T": {"value": 1}}},
    ],
)
def test_a_planted_fault_of_bmf_is_found(planted: Any) -> None:
    assert bmf_faults(planted)


def test_long_names_stay_apart_in_bmf() -> None:
    names = [f"test_{'a' * 2000}_{number}" for number in range(2)]
    assert len({shorten_name(name) for name in names}) == 2
    assert max(map(len, json.loads(export("bmf", a_run(*names))))) <= MAX_NAME


def custom_benchmark_faults(document: Any) -> list[str]:
    """What the action's `BenchmarkResult` and its comparison need (README, "customSmallerIsBetter")."""
    if not isinstance(document, list) or not document:
        return ["not an array with entries: 'No benchmark result was found'"]
    faults = []
    for entry in document:
        faults += ["name"] * (not isinstance(entry.get("name"), str))
        faults += ["unit"] * (not isinstance(entry.get("unit"), str))
        faults += ["value"] * (type(entry.get("value")) not in (int, float))
        faults += ["optional text"] * any(
            not isinstance(entry.get(key, ""), str) for key in ("range", "extra")
        )
    return faults


def test_github_action_benchmark_follows_its_rules() -> None:
    document = json.loads(export("github-action-benchmark"))
    assert custom_benchmark_faults(document) == []
    assert document[0]["value"] == pytest.approx(11.0)
    assert {entry["unit"] for entry in document} == {"ms"}


@pytest.mark.parametrize(
    "planted", [[], [{"name": "a", "value": "1", "unit": "ms"}], [{"value": 1, "unit": "ms"}]]
)
def test_a_planted_fault_of_github_action_benchmark_is_found(planted: Any) -> None:
    assert custom_benchmark_faults(planted)


def asv_faults(document: dict[str, Any]) -> list[str]:
    """What `asv.results.Results.load` (asv 0.6) needs: its keys, its columns, and one entry for each list."""
    keys = {
        "params",
        "requirements",
        "commit_hash",
        "date",
        "python",
        "env_name",
        "result_columns",
        "results",
    }
    faults = [f"missing key {key}" for key in sorted(keys - document.keys())]
    faults += ["version"] * (document.get("version") != 2)
    faults += ["machine"] * (not isinstance(document.get("params", {}).get("machine"), str))
    columns = document.get("result_columns", [])
    known = {"result", "params", "version", "started_at", "duration", "samples", "profile"}
    faults += [
        f"unknown data key {each}" for each in columns if each not in known and not each.startswith("stats_")
    ]
    for name, row in document.get("results", {}).items():
        faults += [f"{name}: more values than columns"] * (len(row) > len(columns))
        values = dict(zip(columns, row, strict=False))
        expected = len(values.get("result") or [])
        for column, value in values.items():
            if column.startswith("stats_") and value is not None and len(value) != expected:
                faults.append(f"{name}: {column}")
    return faults


def test_asv_follows_the_rules_of_its_reader() -> None:
    document = json.loads(export("asv"))
    assert asv_faults(document) == []
    row = dict(zip(document["result_columns"], document["results"]["test_plain"], strict=False))
    assert row["result"] == [0.011]
    assert row["stats_number"] == [4]
    assert document["params"]["machine"] == HERE.fingerprint
    assert document["date"] == 1785585600000


def test_a_planted_fault_of_asv_is_found() -> None:
    document = json.loads(export("asv"))
    assert asv_faults({**document, "version": 1})
    assert asv_faults({**document, "result_columns": ["result", "surprise"]})
    assert asv_faults({key: value for key, value in document.items() if key != "params"})


def test_asv_needs_a_commit() -> None:
    with pytest.raises(UsageError, match="without a commit"):
        export("asv", a_run(commit=""))


def test_prometheus_is_read_by_its_client() -> None:
    families = {family.name: family for family in text_string_to_metric_families(export("prometheus"))}
    medians = {
        sample.labels["benchmark"]: sample.value for sample in families["perfsuite_seconds_per_call"].samples
    }
    assert medians["test_plain"] == 0.011
    assert len(medians) == 3
    assert all(sample.timestamp is None for family in families.values() for sample in family.samples)
    assert all(family.documentation and family.type == "gauge" for family in families.values())
    (counted, *_) = families["perfsuite_count"].samples
    assert (counted.labels["counter"], counted.value) == ("dispatched_ops", 7.0)
    assert families["perfsuite_run_timestamp_seconds"].samples[0].value == 1785585600


def test_prometheus_client_rejects_a_planted_fault() -> None:
    planted = export("prometheus").replace('benchmark="test_plain"', 'benchmark="test_plain')
    with pytest.raises(ValueError, match=r"."):
        list(text_string_to_metric_families(planted))
