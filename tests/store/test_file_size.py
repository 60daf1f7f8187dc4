"""A run file that would fill the memory, and a file that is none, are refused before they are read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from perfsuite.cli import main
from perfsuite.errors import StoreError
from perfsuite.store import locations
from perfsuite.store.runs import RunStore
from tests.store.sample_runs import a_run


@pytest.fixture
def large_file(tmp_path: Path) -> Path:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(locations.MAX_FILE_BYTES + 1)  # sparse: it takes no room on the disk
    return path


def test_a_large_run_file_is_refused_by_its_size(
    large_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(large_file), str(large_file)]) == 13
    assert f"{large_file}: 67108865 bytes, expected at most 64 MiB" in capsys.readouterr().err


def test_a_large_file_in_a_store_is_refused_by_its_size(
    large_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RunStore(tmp_path / "runs")
    store.save(a_run(), {})
    large_file.rename(tmp_path / "runs" / "0002_main.json")
    with pytest.raises(StoreError, match="expected at most 64 MiB"):
        store.load("main")
    assert store.load("0001").name == "main", "the negative control"


def test_a_large_object_behind_a_url_is_refused_by_its_size(large_file: Path) -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(StoreError, match="expected at most 64 MiB"):
        locations.read(large_file.as_uri())


def test_a_run_that_could_not_be_read_back_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locations, "MAX_FILE_BYTES", 1000)
    with pytest.raises(StoreError, match="expected at most"):
        RunStore(tmp_path).save(a_run(seconds={f"test_{n}": 0.1 for n in range(50)}), {})
    assert not list(tmp_path.glob("*.json"))


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.json")
    with pytest.raises(StoreError, match="not a regular file"):
        locations.read(tmp_path / "run.json")
