"""Settings of the project: every exception has a reason and an end."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from perfsuite.cli.gate import parse_duration, repro_command
from perfsuite.errors import UsageError
from perfsuite.gate.schedule import TurnSchedule
from perfsuite.gate.settings import Exemption, GateSettings, read_project_settings

TODAY = date(2026, 11, 21)
GOOD = """
[tool.perfsuite.gate]
alpha = 0.02
max-pairs = 12
share = ["images"]

[tool.perfsuite.gate.renames]
"test_a.py::old" = "test_a.py::new"

[[tool.perfsuite.gate.quarantine]]
test = "test_a.py::shaky*"
reason = "the driver update of October"
expires = 2026-12-31

[[tool.perfsuite.gate.tolerances]]
test = "test_a.py::rough"
tolerance = 0.1
reason = "bound by the disk"
expires = 2026-12-31
"""


def read(folder: Path, text: str) -> GateSettings:
    (folder / "pyproject.toml").write_text(text)
    return GateSettings(base="main", **read_project_settings(folder, TODAY))


def test_the_projects_own_settings_are_read(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD)
    assert (found.alpha, found.max_pairs, found.share) == (0.02, 12, ("images",))
    assert found.renames == {"test_a.py::old": "test_a.py::new"}
    assert found.quarantine_for("test_a.py::shaky[1]") is not None
    assert found.quarantine_for("test_a.py::rough") is None
    assert found.tolerance_of("test_a.py::rough") == 0.1
    assert found.tolerance_of("test_a.py::other") == 0.01


def test_a_project_without_settings_has_the_usual_ones(tmp_path: Path) -> None:
    assert GateSettings(base="main", **read_project_settings(tmp_path, TODAY)) == GateSettings(base="main")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("2026-12-31", "2026-11-20", "expired on 2026-11-20"),
        ('"the driver update of October"', '" "', "needs a reason"),
        ("expires = 2026-12-31", 'expires = "soon"', "expires as a date"),
        ('reason = "bound by the disk"\n', "", "expected exactly"),
        ("alpha = 0.02", "alfa = 0.02", "alfa"),
        ("alpha = 0.02", "alpha = 1.5", "alpha: 1.5"),
        ("max-pairs = 12", "max-pairs = 0", "max-pairs"),
        ("max-pairs = 12", "max-pairs = 5", "max-pairs: 5, expected at least 6"),
        ("max-pairs = 12", "mde = 0.01", "nothing could be kept"),
        ("[tool", "[tool", None),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, message: str | None) -> None:
    if message is None:
        read(tmp_path, GOOD)
        return
    with pytest.raises(UsageError, match=message):
        read(tmp_path, GOOD.replace(old, new, 1))


def test_an_exemption_ends_in_a_star_or_names_one_test() -> None:
    assert Exemption("a.py::x[*", "r", TODAY).covers("a.py::x[1]")
    assert not Exemption("a.py::x", "r", TODAY).covers("a.py::x[1]")


@pytest.mark.parametrize(("told_", "is_"), [("90", 90), ("90s", 90), ("1.5m", 90), ("1h", 3600)])
def test_times_are_read(told_: str, is_: float) -> None:
    assert parse_duration(told_) == is_


@pytest.mark.parametrize("told_", ["", "ten", "10x", "-5m"])
def test_other_times_are_refused(told_: str) -> None:
    import argparse

    with pytest.raises(argparse.ArgumentTypeError):
        parse_duration(told_)


def test_the_command_that_repeats_a_gate_is_quoted() -> None:
    settings = GateSettings(base="main", prepare=("uv sync",), pytest_words=("-k", "a or b"))
    assert repro_command(settings) == "perfsuite gate --base main --prepare 'uv sync' -- -k 'a or b'"


def test_who_is_patient_is_patient_again() -> None:
    settings = GateSettings(base="main", pace=TurnSchedule(patience_seconds=600.0))
    assert repro_command(settings) == "perfsuite gate --base main --patience 600"


def test_the_projects_word_on_a_tolerance_goes_before_the_tests_own_marker(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD)
    assert found.tolerance_of("test_a.py::rough", marked=0.02) == 0.1
    assert found.tolerance_of("test_a.py::other", marked=0.02) == 0.02
