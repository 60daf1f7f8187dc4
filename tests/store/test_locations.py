"""The same store in a folder, behind file://, in memory and on a server that speaks S3."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from perfsuite.errors import StoreError, UsageError
from perfsuite.store import locations
from perfsuite.store.baselines import BaselineStore
from perfsuite.store.runs import RunStore
from tests.store.sample_runs import a_run

pytest.importorskip("fsspec")


@pytest.fixture(params=["folder", "file", "memory", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    here = uuid.uuid4().hex
    if request.param == "s3":
        return f"{request.getfixturevalue('bucket')}/{here}"
    return {"folder": str(tmp_path), "file": tmp_path.as_uri(), "memory": f"memory://{here}"}[request.param]


pytestmark = [
    # boto and moto hand back connections when they are collected
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]


def test_every_location_stores_and_returns_runs(root: str) -> None:
    store = RunStore(root)
    assert store.list() == []
    names = [store.save(a_run("main", commit=commit), {}) for commit in ("c0", "c1", "c1")]
    assert store.list() == names
    assert [store.load(name).commit for name in names] == ["c0", "c1", "c1"]
    assert [run.commit for run in store.select("main")] == ["c1", "c1"]
    assert [each.commit for each in store.history()] == ["c0", "c1", "c1"]
    assert [each.commit for each in RunStore(root).history()] == ["c0", "c1", "c1"]
    assert [*RunStore(root).history("another")] == []
    with pytest.raises(StoreError, match=r"does not exist|holds no run"):
        store.load("gone")


def test_every_location_stores_baselines(root: str) -> None:
    baselines = BaselineStore(root)
    run = a_run("main")
    assert baselines.find(run.environment) is None
    reference = baselines.accept([run])
    assert BaselineStore(root).list() == [reference]
    found = BaselineStore(root).find(run.environment)
    assert found is not None
    assert found.runs == (run,)
    baselines.prune([reference])
    assert BaselineStore(root).list() == []


def test_concurrent_writers_of_one_bucket_lose_no_run(bucket: str) -> None:
    root = f"{bucket}/{uuid.uuid4().hex}"

    def save(number: int) -> list[str]:
        store = RunStore(root)
        return [store.save(a_run("main", commit=f"w{number}"), {}) for _ in range(5)]

    with ThreadPoolExecutor(8) as writers:
        names = [name for each in writers.map(save, range(8)) for name in each]
    assert len(set(names)) == 40
    assert sorted(names) == sorted(RunStore(root).list())
    assert all(name.split("_")[1].startswith("main.") for name in names)
    assert RunStore(root).latest("main").name == "main"


def test_one_file_by_url(bucket: str) -> None:
    root = f"{bucket}/{uuid.uuid4().hex}"
    name = RunStore(root).save(a_run(commit="c7"), {})
    assert RunStore().load(f"{root}/{name}.json").commit == "c7"
    with pytest.raises(StoreError, match=r"s3://runs/gone\.json: does not exist"):
        RunStore().load("s3://runs/gone.json")


def test_a_bucket_that_does_not_exist_is_named(bucket: str) -> None:
    with pytest.raises(StoreError, match="s3://no-such-bucket"):
        RunStore("s3://no-such-bucket/runs").save(a_run(), {})


@pytest.mark.parametrize("name", ["../a.json", "x/../../a.json"])
def test_names_do_not_lead_out(name: str, root: str) -> None:
    place = locations.open_location(root)
    for act in (place.read, place.remove):
        with pytest.raises(StoreError, match="leads out"):
            act(name)
    with pytest.raises(StoreError, match="leads out"):
        place.create(name, b"")


def test_symlinks_do_not_lead_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_bytes(b"secret")
    inside = tmp_path / "runs"
    inside.mkdir()
    (inside / "0001_main.json").symlink_to(outside)
    (inside / "folder").symlink_to(tmp_path)
    with pytest.raises(StoreError, match="leads out"):
        RunStore(inside).load("main")
    with pytest.raises(StoreError, match="leads out"):
        locations.open_location(inside).replace("folder/outside.json", b"")
    assert outside.read_bytes() == b"secret"


LINKS = {
    "absolute": "{outside}",
    "relative": "../outside",
    "by way of another": "way",
    "dangling": "{outside}/not_there",
    "loop": "folder",
}


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("scheme", ["folder", "file"])
def test_no_link_to_a_folder_leads_out(tmp_path: Path, scheme: str, link: str) -> None:
    outside, root = tmp_path / "outside", tmp_path / "runs"
    outside.mkdir()
    root.mkdir()
    (outside / "a.json").write_bytes(b"secret")
    (root / "way").symlink_to(outside)
    (root / "folder").symlink_to(LINKS[link].format(outside=outside))
    place = locations.open_location(root if scheme == "folder" else root.as_uri())
    acts: list[Callable[[], object]] = [
        lambda: place.read("folder/a.json"),
        lambda: place.remove("folder/a.json"),
        lambda: place.replace("folder/a.json", b""),
        lambda: place.replace("folder/deep/b.json", b""),
        lambda: place.create("folder/b.json", b""),
        lambda: place.stamps("folder"),
    ]
    for act in acts:
        with pytest.raises(StoreError, match="leads out"):
            act()
    assert {path.name: path.read_bytes() for path in outside.rglob("*")} == {"a.json": b"secret"}


def test_read_all_skips_files_behind_a_link_that_leads_out(tmp_path: Path) -> None:
    """Summaries are convenience: without one the run itself is read."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.json").write_bytes(b"secret")
    place = locations.open_location(tmp_path / "runs")
    place.create("b.json", b"b")
    (tmp_path / "runs" / "folder").symlink_to(tmp_path / "outside")
    assert place.read_all(["folder/a.json", "b.json"]) == {"b.json": b"b"}


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    """The negative control: only what lies below the named root is checked."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "runs").symlink_to(tmp_path / "disk")
    locations.open_location(tmp_path / "runs").create("folder/a.json", b"a")
    assert (tmp_path / "disk" / "folder" / "a.json").read_bytes() == b"a"


def test_an_unknown_protocol_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown protocol 'gopher'.*s3"):
        RunStore("gopher://x")
    with pytest.raises(UsageError, match="needs a package that is not installed"):
        RunStore("hdfs://x/y")


def test_without_fsspec_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(UsageError, match=r"perfsuite\[remote\]"):
        RunStore("s3://x")
