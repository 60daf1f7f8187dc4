"""Wrong settings in pyproject.toml: exit code 2, and a message with file, key and expectation."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.cli import main
from perfsuite.gate.project_layout import find_sources

ENTRY = 'test = "t.py::t"\nreason = "r"\nexpires = 2999-01-01\n'
GATE = "[tool.perfsuite.gate]\n"
QUARANTINE = "[[tool.perfsuite.gate.quarantine]]\n"
TOLERANCES = "[[tool.perfsuite.gate.tolerances]]\n"
RENAMES = "[tool.perfsuite.gate.renames]\n"

# The text of pyproject.toml, the key that the message names, and what it expects.
WRONG = {
    "the tool table is a number": ("tool = 5\n", "tool:", "a table"),
    "the perfsuite table is a number": ("[tool]\nperfsuite = 5\n", "tool.perfsuite", "a table"),
    "the perfsuite table is a list": ("[[tool.perfsuite]]\n", "tool.perfsuite", "a table"),
    "the gate table is text": ('[tool.perfsuite]\ngate = "x"\n', "tool.perfsuite.gate", "a table"),
    "the gate table is a list": ("[[tool.perfsuite.gate]]\nalpha = 0.01\n", "tool.perfsuite.gate", "a table"),
    "an unknown table": ("[tool.perfsuite.gates]\nalpha = 0.1\n", "gates", "gate"),
    "an unknown key": (GATE + "alfa = 0.01\n", "alfa", "one of"),
    "alpha is text": (GATE + 'alpha = "x"\n', "alpha", "a number"),
    "alpha is a list": (GATE + "alpha = [0.01]\n", "alpha", "a number"),
    "alpha is a table": (GATE + "alpha = {low = 0.01}\n", "alpha", "a number"),
    "alpha is zero": (GATE + "alpha = 0\n", "alpha", "above"),
    "alpha is one": (GATE + "alpha = 1.0\n", "alpha", "below 1"),
    "alpha is nan": (GATE + "alpha = nan\n", "alpha", "a number"),
    "alpha is beyond what pairs can show": (GATE + "alpha = 1e-320\n", "alpha", "above"),
    "alpha is a truth value": (GATE + "alpha = true\n", "alpha", "a number"),
    "tolerance is inf": (GATE + "tolerance = inf\n", "tolerance", "below 1"),
    "tolerance is a date": (GATE + "tolerance = 2030-01-01\n", "tolerance", "a number"),
    "mde is negative": (GATE + "mde = -0.1\n", "mde", "above 0"),
    "mde is not above the tolerance": (GATE + "mde = 0.01\n", "mde", "more than the tolerance"),
    "mde is a time": (GATE + "mde = 07:32:00\n", "mde", "a number"),
    "max-pairs is a fraction": (GATE + "max-pairs = 12.5\n", "max-pairs", "a whole number"),
    "max-pairs is enormous": (GATE + "max-pairs = 1000000000000\n", "max-pairs", "below"),
    "max-pairs has a thousand digits": (GATE + f"max-pairs = {'9' * 1000}\n", "max-pairs", "below"),
    "max-pairs has six thousand digits": (
        GATE + f"max-pairs = {'9' * 6000}\n",
        "pyproject.toml",
        "valid TOML",
    ),
    "max-pairs is too few": (GATE + "max-pairs = 2\n", "max-pairs", "at least"),
    "share is text": (GATE + 'share = "images"\n', "share", "a list of paths"),
    "share is a table": (GATE + "share = {images = true}\n", "share", "a list of paths"),
    "share holds a number": (GATE + "share = [5]\n", "share", "a path"),
    "share is absolute": (GATE + 'share = ["/etc"]\n', "share", "inside the repository"),
    "share leads outside": (GATE + 'share = ["../secrets"]\n', "share", "inside the repository"),
    "share holds a NUL": (GATE + 'share = ["a\\u0000b"]\n', "share", "a path"),
    "renames is a list": (GATE + 'renames = ["a", "b"]\n', "renames", "a table"),
    "renames is a list of pairs": (GATE + 'renames = [["a", "b"]]\n', "renames", "a table"),
    "renames is text": (GATE + 'renames = "ab"\n', "renames", "a table"),
    "a rename to a number": (RENAMES + '"a.py::a" = 5\n', "renames", "the name of a test"),
    "a rename to nothing": (RENAMES + '"a.py::a" = ""\n', "renames", "the name of a test"),
    "two renames to one test": (RENAMES + '"a" = "c"\n"b" = "c"\n', "renames", "each name once"),
    "quarantine is a number": (GATE + "quarantine = 5\n", "quarantine", "a list of tables"),
    "quarantine is text": (GATE + 'quarantine = "t.py::t"\n', "quarantine", "a list of tables"),
    "quarantine is one table": (
        "[tool.perfsuite.gate.quarantine]\n" + ENTRY,
        "quarantine",
        "a list of tables",
    ),
    "quarantine holds text": (GATE + 'quarantine = ["t.py::t"]\n', "quarantine", "a table"),
    "quarantine without a reason": (
        QUARANTINE + 'test = "t"\nexpires = 2999-01-01\n',
        "quarantine",
        "reason",
    ),
    "quarantine with a tolerance": (QUARANTINE + ENTRY + "tolerance = 0.1\n", "quarantine", "exactly"),
    "quarantine of a number": (QUARANTINE + ENTRY.replace('"t.py::t"', "5"), "test", "the name of a test"),
    "quarantine of a list": (QUARANTINE + ENTRY.replace('"t.py::t"', '["t"]'), "test", "the name of a test"),
    "quarantine of nothing": (QUARANTINE + ENTRY.replace("t.py::t", ""), "test", "the name of a test"),
    "a reason that is a number": (QUARANTINE + ENTRY.replace('"r"', "5"), "reason", "a text"),
    "a reason that is empty": (QUARANTINE + ENTRY.replace('"r"', '" "'), "reason", "a text"),
    "an expiry that is text": (QUARANTINE + ENTRY.replace("2999-01-01", '"2999-01-01"'), "expires", "a date"),
    "an expiry with a time": (
        QUARANTINE + ENTRY.replace("2999-01-01", "2999-01-01T12:00:00"),
        "expires",
        "a date",
    ),
    "an expiry in the past": (QUARANTINE + ENTRY.replace("2999", "1999"), "expired", "renew"),
    "tolerances is a number": (GATE + "tolerances = 0.1\n", "tolerances", "a list of tables"),
    "a tolerance that is text": (TOLERANCES + ENTRY + 'tolerance = "0.1"\n', "tolerance", "a number"),
    "a tolerance that is nan": (TOLERANCES + ENTRY + "tolerance = nan\n", "tolerance", "a number"),
    "a tolerance that is missing": (TOLERANCES + ENTRY, "tolerances", "exactly"),
    "not TOML": ("[tool.perfsuite.gate\n", "pyproject.toml", "valid TOML"),
    "brackets nested too deep": ("x = " + "[" * 100_000 + "\n", "pyproject.toml", "valid TOML"),
}

# Sections of other tools in shapes that this package does not know. They are not its business.
FOREIGN = [
    "[tool]\nsetuptools = 5\n",
    "[tool.setuptools]\npackages = 5\n",
    "[tool.setuptools.packages]\nfind = 5\n",
    "[tool.setuptools.packages.find]\nwhere = 5\n",
    "[tool.setuptools.packages.find]\nwhere = [5, {a = 1}]\n",
    '[tool.setuptools.packages.find]\nwhere = ["a\\u0000b"]\n',
    '[tool.setuptools]\npackage-dir = ["src"]\n',
    '[tool.setuptools.package-dir]\n"" = 5\n',
    "[tool]\nhatch = []\n",
    "[tool.hatch]\nbuild = 5\n",
    "[tool.hatch.build.targets]\nwheel = []\n",
    "[tool.hatch.build.targets.wheel]\npackages = 5\n",
    "[tool.hatch.build.targets.wheel]\npackages = [5]\n",
    "[tool]\npoetry = 'x'\n",
    "[tool.poetry]\npackages = 5\n",
    "[tool.poetry]\npackages = ['toy', {from = 5}]\n",
    "[tool]\nmaturin = 5\n",
    "[tool.maturin]\npython-source = 5\n",
    "[tool.maturin]\npython-source = '/etc'\n",
    "project = 5\n",
]


def exit_code(*words: str) -> int:
    try:
        return main(list(words))
    except SystemExit as error:
        return int(str(error.code))


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_setting_is_a_usage_error_that_names_it(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text, key, expectation = WRONG[case]
    (tmp_path / "pyproject.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert exit_code("gate", "--base", "main") == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert error.startswith(f"perfsuite gate: {tmp_path / 'pyproject.toml'}: ")
    assert key in error
    assert "expected" in error
    assert expectation in error
    assert len(error) < 2000


def test_a_right_setting_passes_on_to_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The negative control: these settings are right, and the folder is no repository."""
    right = f'{GATE}alpha = 0.02\nmax-pairs = 12\nshare = ["images"]\n{QUARANTINE}{ENTRY}{RENAMES}"a" = "b"\n'
    (tmp_path / "pyproject.toml").write_text(right)
    monkeypatch.chdir(tmp_path)
    assert exit_code("gate", "--base", "main") == 2
    assert "not a git repository" in capsys.readouterr().err


@pytest.mark.parametrize("text", FOREIGN)
def test_the_sections_of_other_tools_may_have_any_shape(text: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    (tmp_path / "src" / "toy").mkdir(parents=True)
    (tmp_path / "src" / "toy" / "__init__.py").write_text("")
    assert find_sources(tmp_path).folders == ("src",)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--alpha", "x"),
        ("--alpha", "nan"),
        ("--alpha", "1e-320"),
        ("--tolerance", "inf"),
        ("--mde", "-1"),
        ("--max-pairs", "1e9"),
        ("--max-pairs", "1000000000000"),
        ("--max-pairs", "9" * 6000),
        ("--time-budget", "9" * 400),
        ("--hang-timeout", "-5"),
        ("--seed", "x"),
    ],
)
def test_a_wrong_option_is_a_usage_error(
    option: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert exit_code("gate", "--base", "main", f"{option}={value}") == 2
