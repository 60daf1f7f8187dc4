"""Settings of a project: every exemption has a reason and a date."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from datetime import date
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest

from perfsuite.cli.arguments import duration
from perfsuite.cli.gate_options import repro_command
from perfsuite.errors import UsageError
from perfsuite.gate.project_settings import read_project_settings
from perfsuite.gate.schedule import TurnSchedule
from perfsuite.gate.settings import Exemption, GateSettings

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


def test_project_settings_are_read(tmp_path: Path) -> None:
    settings = read(tmp_path, GOOD)
    assert (settings.alpha, settings.max_pairs, settings.share) == (0.02, 12, ("images",))
    assert settings.renames == {"test_a.py::old": "test_a.py::new"}
    assert settings.quarantine_for("test_a.py::shaky[1]") is not None
    assert settings.quarantine_for("test_a.py::rough") is None
    assert settings.tolerance_for("test_a.py::rough") == 0.1
    assert settings.tolerance_for("test_a.py::other") == 0.01


def test_a_project_without_settings_gets_the_defaults(tmp_path: Path) -> None:
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
def test_invalid_settings_are_refused_by_name(
    tmp_path: Path, old: str, new: str, message: str | None
) -> None:
    if message is None:
        read(tmp_path, GOOD)
        return
    with pytest.raises(UsageError, match=message):
        read(tmp_path, GOOD.replace(old, new, 1))


INVALID_NUMBERS = ["nan", "inf", "-inf", "-0.5", "true", "false", '"0.05"', "[0.05]", "2000-01-01", "1e400"]


@pytest.mark.parametrize("written", [*INVALID_NUMBERS, "1.0", "3"])
@pytest.mark.parametrize(
    ("old", "key"),
    [("tolerance = 0.1", "tolerance"), ("alpha = 0.02", "alpha"), ("max-pairs = 12", "max-pairs")],
    ids=["of one test", "alpha", "pairs"],
)
def test_values_that_are_no_number_in_range_are_refused_by_name(
    tmp_path: Path, old: str, key: str, written: str
) -> None:
    if key == "max-pairs" and written == "3":
        written = "0"
    with pytest.raises(UsageError) as refused:
        read(tmp_path, GOOD.replace(old, f"{key} = {written}"))
    message = str(refused.value)
    assert message.startswith(f"{tmp_path / 'pyproject.toml'}: [")
    assert f"{key}: {tomllib.loads(f'x = {written}')['x']!r}, expected a" in message
    assert " of " in message or " above " in message


@pytest.mark.parametrize("written", INVALID_NUMBERS)
@pytest.mark.parametrize("key", ["tolerance", "mde"])
def test_other_invalid_numbers_are_refused_too(tmp_path: Path, key: str, written: str) -> None:
    with pytest.raises(
        UsageError, match=rf"pyproject\.toml: \[tool\.perfsuite\.gate\] {key}: .*expected a number"
    ):
        read(tmp_path, GOOD.replace("alpha = 0.02", f"{key} = {written}"))


@pytest.mark.parametrize("written", ["0", "0.0", "0.5", "0.999"])
def test_a_tolerance_in_range_is_accepted(tmp_path: Path, written: str) -> None:
    """The negative control."""
    settings = read(tmp_path, GOOD.replace("tolerance = 0.1", f"tolerance = {written}"))
    assert settings.tolerance_for("test_a.py::rough") == float(written)


@pytest.mark.parametrize("value", [nan, inf, -inf, -1, True, "5", None])
@pytest.mark.parametrize(
    "name", ["alpha", "tolerance", "mde", "max_pairs", "time_budget_seconds", "null_workloads"]
)
def test_settings_built_in_python_are_checked_too(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=r"expected a (whole )?number"):
        GateSettings(base="main", **{name: value})


@pytest.mark.parametrize("value", [nan, inf, -1.0, True, "5", None])
@pytest.mark.parametrize("name", [field.name for field in fields(TurnSchedule) if field.name != "pin"])
def test_a_schedule_is_checked(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=name):
        TurnSchedule(**{name: value})


@pytest.mark.parametrize("value", [nan, inf, -0.1, 1.0, True, "0.1"])
def test_an_exemption_built_in_python_is_checked(value: Any) -> None:
    rough = Exemption("test_a.py::rough", "bound by the disk", TODAY, value)
    with pytest.raises(UsageError, match=r"tolerance of test_a\.py::rough: "):
        GateSettings(base="main", tolerances=(rough,))


def test_a_hang_timeout_of_zero_is_refused() -> None:
    with pytest.raises(UsageError, match="hang-timeout: 0, expected a number above 0"):
        GateSettings(base="main", schedule=TurnSchedule(hang_timeout_seconds=0))


def test_an_expiry_with_a_time_of_day_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expires as a date"):
        read(tmp_path, GOOD.replace("expires = 2026-12-31", "expires = 2026-12-31T12:00:00", 1))


def test_an_exemption_ends_in_a_star_or_names_one_test() -> None:
    assert Exemption("a.py::x[*", "r", TODAY).matches("a.py::x[1]")
    assert not Exemption("a.py::x", "r", TODAY).matches("a.py::x[1]")


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("1h", 3600)])
def test_durations_are_parsed(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "ten", "10x", "-5m", "nan", "inf", "0", "0.0h", "9" * 400])
def test_invalid_durations_are_refused(text: str) -> None:
    import argparse

    with pytest.raises(argparse.ArgumentTypeError):
        duration(text)


def test_the_repro_command_is_quoted() -> None:
    settings = GateSettings(base="main", prepare=("uv sync",), pytest_args=("-k", "a or b"))
    assert repro_command(settings) == "perfsuite gate --base main --prepare 'uv sync' -- -k 'a or b'"


def test_the_repro_command_repeats_the_hang_timeout() -> None:
    settings = GateSettings(base="main", schedule=TurnSchedule(hang_timeout_seconds=600.0))
    assert repro_command(settings) == "perfsuite gate --base main --hang-timeout 600"


def test_a_tolerance_in_the_settings_overrides_the_marker(tmp_path: Path) -> None:
    settings = read(tmp_path, GOOD)
    assert settings.tolerance_for("test_a.py::rough", marked=0.02) == 0.1
    assert settings.tolerance_for("test_a.py::other", marked=0.02) == 0.02


def test_the_repro_command_repeats_the_interpreter() -> None:
    settings = GateSettings(base="main", python="../envs/bench/bin/python")
    assert repro_command(settings) == "perfsuite gate --base main --python ../envs/bench/bin/python"
