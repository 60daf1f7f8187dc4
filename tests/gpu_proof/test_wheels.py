"""Wheels for a GPU machine: what is downloaded, what is missing, and that stages import them."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from benchmarks.gpu_proof import wheels
from benchmarks.gpu_proof.__main__ import main, run_all
from benchmarks.gpu_proof.stage import ROOT, Stage
from perfsuite.errors import PerfsuiteError, UsageError
from tests.gpu_proof.test_gpu_proof import make_stage

VERSIONS = wheels.read_constraints(ROOT / "constraints.txt")


def write_wheel(folder: Path, name: str, requires: Sequence[str] = (), tag: str = "py3-none-any") -> None:
    """A wheel of one module that says its name."""
    module = canonicalize_name(name).replace("-", "_")
    folder.mkdir(exist_ok=True)
    lines = [f"Name: {name}", "Version: 1.0", *(f"Requires-Dist: {each}" for each in requires)]
    with zipfile.ZipFile(folder / f"{module}-1.0-{tag}.whl", "w") as archive:
        archive.writestr(f"{module}.py", f"NAME = {name!r}\n")
        archive.writestr(f"{module}-1.0.dist-info/METADATA", "\n".join(lines) + "\n")


class FakeIndex:
    """Downloads from a table of names and what they require; `requests` are the requirements of each call."""

    def __init__(self, **requires: Sequence[str]) -> None:
        self.requires = requires
        self.requests: list[list[str]] = []

    def __call__(self, requirements: Sequence[str], folder: Path) -> None:
        self.requests.append(list(requirements))
        for name, requires in self.requires.items():
            if any(each.startswith(name) for each in requirements):
                write_wheel(folder, name, requires)


def test_what_a_wheel_requires_is_downloaded_too_in_the_tested_version(tmp_path: Path) -> None:
    needs = ["torch>=2", "helper>=2", "PyYAML", "old; python_version < '3.12'", "extra; extra == 'dev'"]
    index = FakeIndex(albumentations=needs, helper=["albumentations", "numpy"], PyYAML=[])
    found = wheels.prepare(tmp_path, {"pyyaml": "6.0.3"}, ["albumentations"], index)
    assert [wheel.name.partition("-")[0] for wheel in found] == ["albumentations", "helper", "pyyaml"]
    assert index.requests == [["albumentations"], ["helper>=2", "PyYAML==6.0.3"]]


def test_the_tested_versions_are_those_of_the_constraints() -> None:
    assert {"albumentations", "simplejpeg", "shtab", "pydantic-core"} <= set(VERSIONS)
    assert all(version[0].isdigit() for version in VERSIONS.values())


def test_a_wheel_that_is_not_there_is_named(tmp_path: Path) -> None:
    index = FakeIndex(albumentations=["helper>=2"])
    with pytest.raises(PerfsuiteError, match=r"helper>=2: no wheel was downloaded"):
        wheels.prepare(tmp_path, {}, ["albumentations"], index)


def test_too_many_bytes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "MAX_BYTES", 100)
    with pytest.raises(PerfsuiteError, match="MiB of wheels, expected at most"):
        wheels.prepare(tmp_path, {}, ["kornia"], FakeIndex(kornia=[]))


def test_a_failed_download_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(command: Sequence[str], **options: object) -> subprocess.CompletedProcess[str]:
        assert isinstance(command, list)
        return subprocess.CompletedProcess(
            command, 1, "", "note\nERROR: No matching distribution for kornia\n"
        )

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(
        PerfsuiteError, match=r"^kornia: not downloaded: No matching distribution for kornia$"
    ):
        wheels.download_wheels(["kornia"], tmp_path)


@pytest.fixture
def carried(tmp_path: Path) -> Path:
    for name in wheels.NEEDED:
        write_wheel(tmp_path / "carried", name)
    write_wheel(tmp_path / "carried", "only-in-a-wheel")
    return tmp_path / "carried"


def test_stages_import_what_is_carried_and_nothing_is_left_behind(carried: Path, tmp_path: Path) -> None:
    row = '\'{"what": "from", "value": "\' + only_in_a_wheel.NAME + \'", "note": ""}\\n\''
    source = f"import sys, only_in_a_wheel; open(sys.argv[1] + '/one.rows.jsonl', 'w').write({row})"

    def command(stage: Stage, out: Path) -> Sequence[str]:
        return [sys.executable, "-c", source, str(out)]

    before = os.environ.get("PYTHONPATH")
    with wheels.wheels_on_path(carried):
        packages = Path(os.environ["PYTHONPATH"].split(os.pathsep)[0])
        assert run_all([make_stage()], tmp_path, rehearse=False, command=command) == 0
    assert "only-in-a-wheel" in (tmp_path / "summary.md").read_text()
    assert os.environ.get("PYTHONPATH") == before
    assert not packages.exists()
    assert run_all([make_stage()], tmp_path, rehearse=False, command=command) == 1  # without the wheels


def test_a_missing_wheel_is_named(carried: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    next(carried.glob("kornia-*")).unlink()
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path / "out"), "--wheels", str(carried)])
    assert "no wheel of kornia; download them with" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())  # no stage ran


def test_a_wheel_of_another_python_is_refused(carried: Path, tmp_path: Path) -> None:
    write_wheel(carried, "compiled", tag="cp27-cp27m-win32")
    with pytest.raises(UsageError, match=r"compiled-1\.0-cp27-cp27m-win32\.whl: not for this Python"):
        wheels.unpack(carried, tmp_path / "packages")
