"""What a file, a name or a commit holds controls neither a terminal nor GitHub's runner."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perfsuite.cli import main
from perfsuite.cli.output import print_message
from perfsuite.report.formats.json import dump_json
from perfsuite.store import schema
from perfsuite.store.runs import RunStore
from tests.gate.conftest import project  # noqa: F401 - a fixture
from tests.gate.projects import Project
from tests.store.sample_runs import a_run

HOSTILE = "\x1b[31mred\r\n::error::forged\n  ::stop-commands::x\n##[add-mask]y"


def controls(text: str) -> list[str]:
    """The lines that a terminal or the runner would act on."""
    lines = text.replace("\r", "\n").split("\n")
    return [each for each in lines if "\x1b" in each or each.lstrip().startswith("::") or "##[" in each]


@pytest.fixture(autouse=True)
def in_a_github_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")


def test_a_message_keeps_its_lines_and_controls_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert controls(HOSTILE), "the negative control"
    print_message(f"first\n{HOSTILE}")
    error = capsys.readouterr().err
    assert controls(error) == []
    assert error.splitlines()[0] == "first"
    assert "forged" in error


@pytest.mark.parametrize("options", [[], ["--markdown", "-"], ["--json", "-"], ["--all"]])
@pytest.mark.parametrize("field", ["name", "commit", "created_at"])
def test_no_field_of_a_run_controls_the_output_of_compare(
    field: str,
    options: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    RunStore().save(a_run("head", "c1", seconds={"test_a": 0.01}), {})
    changes: dict[str, Any] = {field: HOSTILE}
    hostile = replace(a_run("main", "c0", seconds={"test_a": 0.01}), **changes)
    Path("hostile.json").write_bytes(schema.dump(hostile, {}))
    main(["compare", "hostile.json", "head", *options])
    printed = capsys.readouterr()
    assert controls(printed.out) == controls(printed.err) == []


def test_an_error_about_a_file_controls_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.json").write_text(json.dumps({"benchmarks": [{"fullname": HOSTILE, "stats": {"data": ["x"]}}]}))
    assert main(["compare", "a.json", "a.json"]) == 13
    error = capsys.readouterr().err
    assert "red" in error
    assert controls(error) == []


def test_a_ref_with_control_characters_controls_nothing(
    project: Project,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")  # which the fixture removes
    project.commit({"a.py": ""})
    assert main(["gate", "--base", HOSTILE]) == 2
    assert controls(capsys.readouterr().err) == []


def test_json_on_one_line_is_free_of_commands_and_infinities() -> None:
    text = dump_json({"a": "##[error]", "b": float("inf")}, indent=None)
    assert controls(text) == []
    assert text.count("\n") == 1
    assert json.loads(text) == {"a": "##[error]", "b": None}
