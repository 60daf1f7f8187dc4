"""The page of rows: every id has a row, and a command that fails is shown as failing."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.rows import __main__ as rows_main
from benchmarks.rows import load_epochs
from benchmarks.rows.__main__ import SWEEP_FILE, main, render_page, run_rows
from benchmarks.rows.commands import PROCESSES, SETUP
from benchmarks.rows.row import CommandOutput, Row, RowResult, command_words, judge_row, run_command
from benchmarks.rows.table import ROW_IDS, rows
from perfsuite.advise.claims.markdown import render_claims
from perfsuite.advise.claims.results import ClaimsReport, SpeedupRow
from perfsuite.advise.sweep.terminal import print_sweep
from perfsuite.cli.program import command_names
from perfsuite.data.synthetic import dataset
from perfsuite.judge.verdict import Interval
from tests.advise.sweep.test_terminal import invented as invented_sweep
from tests.cli.command_examples import full_parser

SOUND = Row(id="A1", what="", command="python -c 'print(42, \"images\")'", figure=r"\d+ images")


def test_every_id_has_one_row() -> None:
    assert len(ROW_IDS) == 49
    assert [row.id for row in rows(60, 5)] == list(ROW_IDS)


def test_every_command_is_complete_and_each_pattern_compiles() -> None:
    for row in rows(60, 5):
        words = command_words(row.command)
        assert not re.search(r"\{\w+\}", row.command)
        assert re.compile(row.figure)
        if row.command.startswith("pytest "):
            assert Path(words[3]).is_file(), row.id


@pytest.mark.parametrize("row", rows(60, 5), ids=lambda row: row.id)
def test_each_command_exists_with_its_options_and_tests(
    row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = shlex.split(row.command)
    if words[0] == "perfsuite":
        (tmp_path / "sweep.toml").write_text(SWEEP_FILE)
        monkeypatch.chdir(tmp_path)
        full_parser().parse_args(words[1:])
    elif words[0] == "pytest":
        check_tests_exist(words[1:])
    else:
        assert words[:2] == ["python", "-c"]
        compile(words[2], row.id, "exec")


def check_tests_exist(words: list[str]) -> None:
    """Every file is there, and every part of -k is in the name of a test of one of them."""
    files = [Path(word) for word in words if word.endswith(".py")]
    names = re.findall(r"^def (test_\w+)", "".join(file.read_text() for file in files), re.MULTILINE)
    for part in words[words.index("-k") + 1].split(" or "):
        assert part == "dali" or any(part in name for name in names), part  # a parameter of the peers


def test_a_test_that_does_not_exist_is_found() -> None:
    with pytest.raises(AssertionError, match="renamed"):
        check_tests_exist(["benchmarks/test_cache.py", "-k", "when_to_augment or renamed"])


def figures_of(command: str, printed: str) -> dict[str, tuple[str, ...]]:
    """The figures of every row that the command shows, where it prints this."""
    shown = [row for row in rows(60, 5) if row.command.startswith(command)]
    assert shown
    return {row.id: judge_row(row, CommandOutput(0, printed), has_gpu=True).figures for row in shown}


def test_rows_of_a_sweep_find_their_figures_in_what_it_prints() -> None:
    out = StringIO()
    sweep = invented_sweep(8, step_seconds_per_image=(0.003,) * 8, epochs=50, mean=0.1, std=1.0)
    print_sweep(sweep, Console(file=out, width=100, highlight=False))
    found = figures_of("perfsuite sweep --data-dir images --num-workers 0,2,4,8", out.getvalue())
    assert set(found) == {"A3", "A4", "A7", "A8", "A9", "A10", "A11", "A12", "C1", "C3", "C4"}
    assert {row for row, figures in found.items() if not figures} == set()
    assert [figure.split()[3] for figure in found["A3"]] == ["moderate", "aggressive", "none"]
    assert [figure.split()[0] for figure in found["A4"]] == ["0", "4", "8"]
    assert found["A9"][0].split()[:5] == ["0", "inline", "18.0", "56.9", "124"]
    assert found["A10"][-1] == "training step - - - - -"
    assert found["A11"][-1] == "8 subprocess +2 0.93 15.21 50%"
    assert len(found["C3"]) == 2
    assert found["C4"][0].startswith("set num_workers=8")


def test_rows_of_the_claims_find_their_figures_on_their_page() -> None:
    def table(*names: str) -> tuple[SpeedupRow, ...]:
        return tuple(SpeedupRow(name, 700.0, Interval(1.2, 1.4, 0.99), 1.3, 20) for name in names)

    report = ClaimsReport(
        settings={"device": "cpu"},
        items_per_call=32,
        tables={
            "loading": table("Pillow, no workers", "direct, no workers", "direct, 2 workers"),
            "batch size": table("32", "64"),
            "training": table("eager", "bf16", "compiled", "combined", "accumulated, 4 microbatches"),
            "epoch": table("baseline", "loading", "compiled", "bf16", "all combined"),
            "inference": table("eager", "compiled", "combined", "torch.export"),
        },
        memory={"eager": 100, "bf16": 51},
        memory_metric="bytes",
    )
    found = figures_of("perfsuite claims", render_claims(report, "perfsuite claims"))
    assert set(found) == {"A2", "B9", "E2", "E3", "E7", "E10", "E11"}
    assert {row for row, figures in found.items() if not figures} == set()
    assert [figure.split(" |")[0] for figure in found["E7"]] == [
        "| all combined train 1.8x, without loading",
        "| all combined train 1.8x, loading included",
        "| baseline",
        "| loading",
        "| all combined",
    ]
    pending = figures_of("perfsuite claims", render_claims(replace(report, tables={}, memory={}), ""))
    assert {row for row, figures in pending.items() if figures} == {"E10"}, "nothing else was measured"


def test_a_planted_failing_command_is_shown_as_failing_and_stops_no_other(tmp_path: Path) -> None:
    failing = Row(
        id="A2", what="", command="python -c 'raise SystemExit(\"a | planted <fault>\")'", figure="."
    )
    silent = Row(id="A3", what="", command="python -c pass", figure=r"\d+ images")
    absent = Row(id="A4", what="", command="no-such-program", figure=".")
    results = list(run_rows([failing, silent, absent, SOUND], tmp_path, False))
    assert [result.verdict for result in results] == ["fails", "fails", "fails", "works"]
    assert results[-1].figures == ("42 images",)
    page = render_page(results, False)
    assert "| fails: exit code 1: a &#124; planted &lt;fault&gt; |" in page
    assert "printed nothing that matches" in page


def result(id_: str, figure: str, verdict: str = "works") -> RowResult:
    return RowResult(Row(id=id_, what="", command="x", figure=""), verdict, (figure,))


def test_rows_that_are_run_again_replace_those_of_the_page_and_the_others_stay() -> None:
    earlier = render_page(
        [result("A1", "one"), result("A2", "two | three"), result("B1", "old", "fails")], False
    )
    earlier = earlier.replace("- machine of A1, A2, B1: ", "- machine of A1, A2, B1: an older one, ")
    page = render_page([result("E2", "last"), result("B1", "new")], True, earlier)
    rows = [line.split(" | ")[0::3] for line in page.splitlines() if line.startswith("| ")]
    assert [cells[0] for cells in rows] == ["| id", "| A1", "| A2", "| B1", "| E2"]
    assert [cells[1] for cells in rows] == ["figure", "one", "two &#124; three", "new", "last"]
    assert "old |" not in page
    assert "fails" not in page
    notes = [line.split(",", 2) for line in page.splitlines() if line.startswith("- ")]
    assert [note[0] for note in notes] == ["- machine of A1", "- machine of B1"]
    assert notes[0][1] == " A2: an older one"
    assert "quick" not in notes[0][2]
    assert "quick" in notes[1][2]


def test_the_note_of_a_whole_run_is_kept_for_the_rows_that_stay() -> None:
    whole = render_page([result(id_, "old") for id_ in ROW_IDS], False)
    assert "\n- machine: " in whole
    page = render_page([result("A1", "new")], False, whole)
    assert "\n- machine of A2, A3, " in page
    assert "\n- machine of A1: " in page
    again = render_page([result(id_, "newest") for id_ in ROW_IDS], False, page)
    assert again.count("\n- machine") == 1, "a note without rows is dropped"
    assert "old" not in again


@pytest.mark.parametrize(("only", "stays"), [(["--only", "A2"], True), ([], False)])
def test_only_a_run_of_some_rows_keeps_the_others(
    only: list[str], stays: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "rows.md"
    out.write_text(render_page([result("A1", "of an earlier run")], False))
    monkeypatch.setattr(rows_main, "prepare", lambda folder: None)
    monkeypatch.setattr(rows_main, "run_rows", lambda chosen, folder, gpu: [result("A2", "new")])
    assert main([*only, "--out", str(out)]) == 0
    assert ("of an earlier run" in out.read_text()) == stays
    assert "| new |" in out.read_text()


def test_rows_with_the_same_command_share_its_output(tmp_path: Path) -> None:
    calls: list[Sequence[str]] = []

    def run(words: Sequence[str], folder: Path, seconds: float) -> CommandOutput:
        calls.append(words)
        return CommandOutput(0, "\x1b[1m7 images\x1b[0m")

    results = list(run_rows([SOUND, SOUND], tmp_path, False, run))
    assert (len(calls), [result.figures for result in results]) == (1, [("7 images",)] * 2)


def test_what_needs_a_gpu_or_a_package_says_so(tmp_path: Path) -> None:
    def row(**more: object) -> Row:
        return Row(id="A1", what="", command="python -c pass", figure="x", **more)  # type: ignore[arg-type]

    absent = [row(package=name) for name in ("no_such_package", "json.no_such_module")]
    gpu, *packages = run_rows([row(is_gpu_only=True), *absent], tmp_path, False)
    assert gpu.verdict == "needs a GPU"
    assert [package.verdict for package in packages] == ["not run", "not run"]
    assert packages[1].reason == "json.no_such_module is not installed"
    printed = CommandOutput(0, "x")
    assert judge_row(row(gpu_part="memory"), printed, has_gpu=False).verdict == "in part"
    assert judge_row(row(gpu_part="memory"), printed, has_gpu=True).verdict == "works"
    assert judge_row(row(), CommandOutput(None, ""), has_gpu=False).reason.startswith("ran out of time")


def test_a_command_that_does_not_end_is_killed(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "import time; time.sleep(600)"]
    assert run_command(words, tmp_path, 0.5).exit_code is None


def test_an_unknown_id_is_a_usage_error() -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--only", "Z9"])


@pytest.mark.parametrize("kind", load_epochs.OPTIONS)
def test_the_timed_processes_load_their_epochs(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset.make_dataset(tmp_path / "images", images=8, classes=2, size=(80, 60))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(load_epochs, "EPOCHS", 2)
    load_epochs.main(kind)
    assert f"'python load_epochs.py {kind}'" in PROCESSES
    assert (tmp_path / "cache").exists() == (kind == "disk")


def test_the_folder_has_what_the_commands_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = CommandOutput(0, "")
    monkeypatch.setattr(rows_main, "run_command", lambda words, folder, seconds: done)
    rows_main.prepare(tmp_path)
    own = [row.command for row in rows(60, 5) if not row.command.startswith("pytest")]
    named = {name for command in own for name in re.findall(r"\b\w+\.(?:py|toml)\b", command)}
    assert {path.name for path in tmp_path.iterdir()} == named == {"load_epochs.py", "sweep.toml"}
    done = CommandOutput(3, "planted")
    with pytest.raises(SystemExit, match="exit code 3: planted"):
        rows_main.prepare(tmp_path)


def test_the_set_up_uses_known_commands() -> None:
    assert all(command_words(command)[3] in command_names() for command in SETUP)
