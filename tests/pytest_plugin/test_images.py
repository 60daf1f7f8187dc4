"""Whose images the fixture `images` gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.data.synthetic import dataset as made
from perfsuite.store.runs import RunStore
from tests.pytest_plugin.conftest import Run

WHICH = "def test_it(image_dir): assert image_dir.name == '{}'"


def test_images_are_made_where_none_are_given(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(made, "cached_dataset", lambda **how: tmp_path / f"made-{how['images']}")
    run(WHICH.format("made-512")).assert_outcomes(passed=1)
    run(WHICH.format("own")).assert_outcomes(failed=1)


def test_own_images_take_their_place(run: Run, pytester: pytest.Pytester) -> None:
    pytester.mkdir("own")
    run(WHICH.format("own"), "--perf-images=own").assert_outcomes(passed=1)


def test_a_folder_that_is_not_there_stops_the_run(run: Run) -> None:
    result = run(WHICH.format("own"), "--perf-images=own")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --perf-images: own is no folder, expected one*"])


def test_a_fixture_of_the_projects_own_comes_first(run: Run) -> None:
    own = "import pathlib\n@pytest.fixture\ndef image_dir(): return pathlib.Path('mine')\n"
    run(own + WHICH.format("mine")).assert_outcomes(passed=1)


def test_runs_on_other_images_are_of_another_environment(run: Run, pytester: pytest.Pytester) -> None:
    own = pytester.mkdir("own")
    (own / "a.jpg").write_bytes(b"1")
    source = "def test_it(perf): perf(lambda: sum(range(2000)))"
    run(source, "--perf-save=made", stores=True)
    run(source, "--perf-save=one", "--perf-images=own", stores=True)
    run(source, "--perf-save=same", "--perf-images=own", stores=True)
    (own / "b.jpg").write_bytes(b"2")
    run(source, "--perf-save=two", "--perf-images=own", stores=True)
    store = RunStore(pytester.path / ".perfsuite/runs")
    print_of = {name: store.load(name).environment.fingerprint for name in ("made", "one", "same", "two")}
    assert print_of["one"] == print_of["same"]
    assert len(set(print_of.values())) == 3
