"""No hostile change counts as the same code, and nearly every harmless one does."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gate.same_code.harmless_changes import HARMLESS, TIMED
from tests.gate.same_code.hostile_changes import HOSTILE
from tests.gate.same_code.small_projects import record_cases

ALL = [*HOSTILE, *HARMLESS, *TIMED]


@pytest.fixture(scope="module")
def uses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """By case: what its processes used of the difference."""
    return record_cases(tmp_path_factory.mktemp("cases"), ALL)


def test_the_tables_are_large_enough_and_name_each_case_once() -> None:
    assert len(HOSTILE) >= 30
    assert len(HARMLESS) + len(TIMED) >= 30
    assert len(HARMLESS) >= 0.9 * (len(HARMLESS) + len(TIMED))
    assert len({case.name for case in ALL}) == len(ALL)


@pytest.mark.parametrize("name", [case.name for case in HOSTILE])
def test_a_hostile_change_is_never_called_the_same(uses: dict[str, str], name: str) -> None:
    assert uses[name]


@pytest.mark.parametrize("name", [case.name for case in HARMLESS])
def test_a_harmless_change_is_the_same(uses: dict[str, str], name: str) -> None:
    assert uses[name] == ""


@pytest.mark.parametrize("name", [case.name for case in TIMED])
def test_these_harmless_changes_are_timed_with_a_reason(uses: dict[str, str], name: str) -> None:
    assert "toy/feature.py" in uses[name]


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.12", "3.13", "3.14"])
def test_every_supported_python_agrees(tmp_path: Path, uses: dict[str, str], version: str) -> None:
    python = other_python(version)
    found = record_cases(tmp_path, ALL, python)
    assert {name for name, use in found.items() if use} == {name for name, use in uses.items() if use}


def other_python(version: str) -> str:
    """An interpreter of another version; the test is skipped where there is none."""
    for name in (f"python{version}", *map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))):
        path = shutil.which(name)
        if path and path != sys.executable:
            works = subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0
            if works:
                return path
    pytest.skip(f"no Python {version} here")
