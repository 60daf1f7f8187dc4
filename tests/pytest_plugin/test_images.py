"""The fixture `image_dir`: generated images, or your own."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.data.synthetic import dataset
from perfsuite.store.runs import RunStore
from tests.pytest_plugin.conftest import Run

SOURCE = "def test_it(image_dir): assert image_dir.name == '{}'"


def test_images_are_generated_where_none_are_given(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(dataset, "cached_dataset", lambda **options: tmp_path / f"made-{options['images']}")
    run(SOURCE.format("made-512")).assert_outcomes(passed=1)
    run(SOURCE.format("own")).assert_outcomes(failed=1)


def test_own_images_replace_the_generated_ones(run: Run, pytester: pytest.Pytester) -> None:
    pytester.mkdir("own")
    run(SOURCE.format("own"), "--perf-images=own").assert_outcomes(passed=1)


def test_a_missing_folder_stops_the_run(run: Run) -> None:
    result = run(SOURCE.format("own"), "--perf-images=own")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --perf-images: own is not a folder, expected one*"])


def test_a_missing_library_is_named_with_the_extra_that_installs_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raise_missing(**options: int) -> None:
        raise ModuleNotFoundError("No module named 'PIL'", name="PIL.Image")

    monkeypatch.setattr(dataset, "cached_dataset", raise_missing)
    result = run(SOURCE.format("made"))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*image_dir: Pillow is not installed*'perfsuite[[]vision[]]'*--perf-images*"]
    )


def test_a_fixture_of_the_project_overrides_it(run: Run) -> None:
    own = "import pathlib\n@pytest.fixture\ndef image_dir(): return pathlib.Path('mine')\n"
    run(own + SOURCE.format("mine")).assert_outcomes(passed=1)


def test_runs_on_different_images_have_different_environments(run: Run, pytester: pytest.Pytester) -> None:
    own = pytester.mkdir("own")
    (own / "a.jpg").write_bytes(b"1")
    source = "def test_it(perf): perf(lambda: sum(range(2000)))"
    run(source, "--perf-save=made", stores=True)
    run(source, "--perf-save=one", "--perf-images=own", stores=True)
    run(source, "--perf-save=same", "--perf-images=own", stores=True)
    (own / "b.jpg").write_bytes(b"2")
    run(source, "--perf-save=two", "--perf-images=own", stores=True)
    store = RunStore(pytester.path / ".perfsuite/runs")
    fingerprints = {name: store.load(name).environment.fingerprint for name in ("made", "one", "same", "two")}
    assert fingerprints["one"] == fingerprints["same"]
    assert len(set(fingerprints.values())) == 3
