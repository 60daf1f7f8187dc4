"""Every damage of a run file is named, no changed file is believed, and a good one comes back equal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.errors import StoreError
from perfsuite.measure.measurement import Environment, GpuReadings, Measurement, MemoryPeaks
from perfsuite.store import schema
from perfsuite.store.run import Run
from perfsuite.store.runs import RunStore
from tests.store.sample_runs import a_run

TOLD = {"machine_info": {"node": "x"}, "datetime": "2026-08-01", "version": "5.3.0"}


def good() -> bytes:
    return schema.dump(a_run("main", counters={"casts": 3}), TOLD)


def edited(change: Callable[[dict[str, Any]], None]) -> bytes:
    """A file that was changed and signed again: only the meaning is wrong."""
    told = json.loads(good())
    change(told)
    own = told.pop("perfsuite")
    own.pop("checksum")
    rest = json.dumps({**own}, allow_nan=True)[1:]
    head = b'{"perfsuite": {"checksum": "sha256:' + b"0" * 64 + b'", '
    data = head + rest.encode() + b", " + json.dumps(told, allow_nan=True)[1:].encode()
    import hashlib

    return data.replace(b"0" * 64, hashlib.sha256(data).hexdigest().encode(), 1)


def measured(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda told: told["perfsuite"]["measurements"][0].__setitem__(key, value)


def own(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda told: told["perfsuite"].__setitem__(key, value)


def twice(told: dict[str, Any]) -> None:
    told["perfsuite"]["measurements"] *= 2


DAMAGED = {
    "zero bytes": (b"", "empty"),
    "blank": (b" \n", "empty"),
    "a selection that is no text": (edited(own("selection", 3)), "selection"),
    "broken limits that are no list": (edited(own("broken_limits", "x")), "expected a list of text"),
    "truncated": (good()[: len(good()) // 2], "truncated"),
    "one byte short": (good()[:-2], "truncated"),
    "not JSON": (b"{hello}", "not JSON"),
    "array": (b"[]", "JSON array"),
    "null": (b"null", "JSON null"),
    "number": (b"7", "JSON number"),
    "foreign JSON": (b'{"name": "left-pad"}', "not a run"),
    "foreign benchmarks": (b'{"benchmarks": [{"speed": 1}]}', "`fullname` is absent"),
    "not UTF-8": (b'{"benchmarks": ["\xff"]}', "not UTF-8"),
    "nested beyond reason": (b"[" * 100_000, "deep|recursion"),
    "from the future": (edited(own("schema", 2)), "newer perfsuite"),
    "tampered": (good().replace(b"0.01", b"0.02", 1), "checksum does not match"),
    "reformatted": (json.dumps(json.loads(good()), indent=2).encode(), "edited or reformatted"),
    "a byte more": (good() + b" ", "checksum does not match"),
    "NaN sample": (edited(measured("seconds_per_call", [float("nan")])), "NaN"),
    "infinite sample": (edited(measured("seconds_per_call", [float("inf")])), "Infinity"),
    "overflowing sample": (edited(measured("seconds_per_call", [10**400])), "bits"),
    "1e999": (b'{"benchmarks": [{"fullname": "t", "stats": {"median": 1e999}}]}', "finite"),
    "negative sample": (edited(measured("seconds_per_call", [-1.0])), "not below 0"),
    "sample of text": (edited(measured("seconds_per_call", ["1"])), "expected a number"),
    "boolean sample": (edited(measured("seconds_per_call", [True])), "expected a number"),
    "samples are no list": (edited(measured("seconds_per_call", 1.0)), "expected a list"),
    "no items": (edited(measured("items_per_call", 0)), "above 0"),
    "broken counter": (edited(measured("counters", {"casts": 1.5})), "whole number"),
    "unknown memory": (edited(measured("memory", {"peak_swap": 1})), "peak_swap"),
    "unknown GPU reading": (edited(measured("gpu", {"fan": 1, "throttled": []})), "fan"),
    "duplicate names": (edited(twice), "measured twice"),
    "duplicate plain names": (
        json.dumps({"benchmarks": [{"fullname": "t", "stats": {"median": 1}}] * 2}).encode(),
        "twice",
    ),
    "environment of text": (edited(own("environment", "here")), "expected an object"),
    "dirty of text": (edited(own("dirty", "no")), "true or false"),
    "perfsuite of text": (b'{"perfsuite": "yes", "benchmarks": []}', "expected an object"),
    "replicate of text": (edited(own("replicates", ["x"])), "expected an object"),
}


def test_the_memory_field_of_older_files_is_read_by_its_new_name() -> None:
    """It always held the proportional set size."""
    [run] = schema.parse_all(edited(measured("memory", {"peak_rss_bytes": 7})), "old.json")
    [measurement] = run.measurements.values()
    assert measurement.memory == MemoryPeaks(peak_pss_bytes=7)


def test_energy_of_older_files_has_no_calls() -> None:
    [run] = schema.parse_all(edited(measured("gpu", {"energy_joules": 6.0, "throttled": []})), "old.json")
    [measurement] = run.measurements.values()
    assert measurement.gpu == GpuReadings(medians={}, energy_joules=6.0, seconds=0.0, calls=0)


@pytest.mark.parametrize(("data", "found"), DAMAGED.values(), ids=DAMAGED.keys())
def test_damage_is_named_and_the_file_is_not_changed(data: bytes, found: str, tmp_path: Path) -> None:
    path = tmp_path / "0001_main.json"
    path.write_bytes(data)
    with pytest.raises(StoreError, match=rf"0001_main.json.*({found})") as raised:
        RunStore(tmp_path).load("main")
    assert raised.value.exit_code == 13
    assert path.read_bytes() == data


@pytest.mark.parametrize("reference", ["0001", "{folder}/0001_main.json"])
def test_a_path_that_is_no_file_is_named(reference: str, tmp_path: Path) -> None:
    path, reference = tmp_path / "0001_main.json", reference.format(folder=tmp_path)
    path.symlink_to(tmp_path / "gone")
    with pytest.raises(StoreError, match=r"symlink to .*gone, which does not exist"):
        RunStore(tmp_path).load(reference)
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreError, match="is a folder, expected a file"):
        RunStore(tmp_path).load(reference)
    path.rmdir()
    with pytest.raises(StoreError, match=r"does not exist|holds no run"):
        RunStore(tmp_path).load(reference)


def test_a_file_without_read_permission_is_named(tmp_path: Path) -> None:
    path = tmp_path / "0001_main.json"
    path.write_bytes(good())
    path.chmod(0)
    tmp_path.chmod(0o755)
    if os.access(path, os.R_OK):  # root may read everything, so somebody else must try
        pytest.importorskip("pwd")
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.setuid(65534)
            try:
                schema.parse((path).read_bytes(), "x")
            except PermissionError as error:
                from perfsuite.store.locations import read_error

                os.write(writer, str(read_error(str(path), error)).encode())
            os._exit(0)
        os.waitpid(child, 0)
        os.close(writer)
        assert b"no permission" in os.read(reader, 1000) or sys.platform != "linux"
    else:
        with pytest.raises(StoreError, match="no permission"):
            RunStore(tmp_path).load("main")


def test_a_good_file_is_read() -> None:
    """The negative control of every damage above."""
    assert schema.parse(good(), "main.json") == a_run("main", counters={"casts": 3})
    assert schema.parse(edited(lambda told: None), "x.json").measurements


@pytest.mark.parametrize("seconds", [(float("nan"),), (float("inf"),), (-1.0,)])
def test_a_run_that_could_not_be_read_back_is_not_written(seconds: tuple[float, ...], tmp_path: Path) -> None:
    run = Run("main", "2026", "c", False, Environment({}), {"t": Measurement("t", seconds)})
    with pytest.raises(StoreError):
        RunStore(tmp_path).save(run, {})
    assert list(tmp_path.iterdir()) == []


def test_data_of_pytest_benchmark_becomes_valid_json() -> None:
    numpy = pytest.importorskip("numpy")
    told = {"benchmarks": [], "x": {"ops": float("inf"), "n": numpy.int64(3), "f": test_a_good_file_is_read}}
    read = json.loads(schema.dump(a_run(), told))
    assert read["x"]["ops"] is None
    assert read["x"]["n"] == 3
    assert isinstance(read["x"]["f"], str)


names = st.text(min_size=1, max_size=20)
seconds = st.floats(0, 1e6, allow_nan=False)
measurements = st.builds(
    Measurement,
    name=names,
    seconds_per_call=st.lists(seconds, max_size=5).map(tuple),
    calls_per_round=st.integers(1, 1000),
    items_per_call=st.floats(0.1, 1e6),
    unit=names,
    seconds_per_call_by_stage=st.dictionaries(names, seconds, max_size=3),
    counters=st.dictionaries(names, st.integers(0, 2**70), max_size=3),
    memory=st.none() | st.builds(MemoryPeaks, st.none() | st.integers(0, 2**50), st.none()),
    gpu=st.none()
    | st.builds(
        GpuReadings,
        st.just({"power_watts": 4.0}),
        st.none() | seconds,
        st.just(("thermal",)),
        seconds,
        st.integers(0, 10**9),
    ),
)
runs = st.builds(
    Run,
    name=st.just("main"),
    created_at=names,
    commit=names,
    dirty=st.booleans(),
    environment=st.builds(Environment, st.dictionaries(names, names), st.dictionaries(names, names)),
    measurements=st.lists(measurements, max_size=4).map(lambda found: {each.name: each for each in found}),
    complete=st.booleans(),
)


@given(runs, st.lists(runs, max_size=2))
def test_any_run_is_read_back_unchanged(run: Run, replicates: list[Run]) -> None:
    data = schema.dump(run, TOLD, replicates)
    assert schema.parse_all(data, "x") == (run, *replicates)
    assert schema.pytest_benchmark_part(data, "x")["machine_info"] == {"node": "x"}


@given(st.integers(0, len(good()) - 1), st.integers(0, 255))
def test_every_changed_byte_is_detected(place: int, value: int) -> None:
    data = bytearray(good())
    if data[place] == value:
        return
    data[place] = value
    with pytest.raises(StoreError):
        schema.parse(bytes(data), "x")
