"""`perfsuite sweep`: tables, figures, options from a file, usage errors, interruption."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from perfsuite.advise.sweep import measure
from perfsuite.cli import main
from perfsuite.cli.commands import sweep
from perfsuite.cli.config_file import CommandParser
from perfsuite.cli.progress import ProgressLine
from perfsuite.cli.sweep_options import SweepOptions, options_from
from perfsuite.data.synthetic import dataset
from perfsuite.errors import UsageError
from tests.cli.exit_code import exit_code_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset.make_dataset(tmp_path_factory.mktemp("p") / "p", images=8, classes=2, size=(80, 60))


@pytest.fixture
def quick(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(measure, "TURN_SECONDS", 0.001)
    monkeypatch.setattr(sweep, "MIN_BLOCKS", 8)  # however busy the machine is
    small = ["--image-size", "32", "--batch-size", "4", "--seconds", "0.01"]
    return ["sweep", "--data-dir", str(folder), *small]


def merged(*words: str) -> SweepOptions:
    parser = CommandParser()
    sweep.add_arguments(parser)
    return options_from(parser.parse_args(words), SweepOptions, "sweep")


def test_tables_checks_and_advice_are_printed_and_written(
    quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "sweep.json"
    assert main([*quick, "--num-workers", "0", "1", "--engine", "threads", "--json", str(target)]) == 0
    out, err = capsys.readouterr()
    for word in (
        "images/s",
        "batches/s",
        "over plain",
        "machine",
        "p99",
        "standard deviation",
        "prefetched",
    ):
        assert word in out
    assert "set num_workers=" in out or "unclear: the turns do not separate" in out  # the machine decides
    for word in ("1 threads +2", "0 inline", "the same batches, bit for bit"):
        assert word in out
    assert "warming up" in err
    figures = json.loads(target.read_text())
    assert [result["setting"]["num_workers"] for result in figures["settings"]] == [0, 1]
    assert {check["metric"] for check in figures["checks"]} >= {
        "images_per_second",
        "overhead_share",
        "repeats",
    }
    assert figures["advice"]


def test_with_check_a_broken_goal_gives_exit_code_1(
    quick: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from perfsuite.advise.sweep import goals
    from perfsuite.judge.limits import LimitType

    few = [*quick, "--num-workers", "0", "--augmentation-mode", "none"]
    monkeypatch.setattr(goals, "GOALS", ((LimitType.FLOOR, "images_per_second", 1e-6),))
    assert main([*few, "--check"]) == 0
    monkeypatch.setattr(goals, "GOALS", ((LimitType.FLOOR, "images_per_second", 1e12),))
    assert main([*few, "--check"]) == 1
    assert main(few) == 0


def test_images_are_listed_by_a_csv(
    quick: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(
            [*quick, "--csv", str(folder / "labels.csv"), "--num-workers", "0", "--augmentation-mode", "none"]
        )
        == 0
    )
    assert "0 inline" in capsys.readouterr().out


def test_a_loader_and_a_model_of_the_users_own_are_swept(
    quick: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    own = "tests.advise.inputs.user_things"
    words = ["sweep", "--loader", f"{own}:make_loader", "--model", f"{own}:Net", "--batch-size", "4"]
    assert main([*words, "--num-workers", "0", "--seconds", "0.01"]) == 0
    out = capsys.readouterr().out
    for word in ("0 DataLoader", "the loading rate over the training rate", "an epoch of 24 images"):
        assert word in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dataset", "a:b", "--loader", "a:b"], "--dataset and --loader, expected one of them"),
        (["--loader", "a:b", "--augmentation-mode", "none"], "--augmentation-mode with --loader"),
        (["--loader", "a:b", "--data-dir", "x"], "--data-dir with --loader"),
    ],
)
def test_options_that_a_loader_decides_itself_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        merged(*words)


def test_numbers_of_workers_may_have_commas_between_them() -> None:
    assert merged("--num-workers", "0,2", "4").num_workers == (0, 2, 4)
    assert merged("--augmentation-mode", "moderate,none").augmentation_mode == ("moderate", "none")


def test_the_command_line_wins_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    config = tmp_path / "sweep.toml"
    config.write_text(
        'num_workers = [0, 2]\nbatch-size = 8\ndata_dir = "images"\nengine = "threads"\ncheck = true\n'
    )
    options = merged("--config", str(config), "--batch-size", "16")
    assert (options.num_workers, options.engine, options.batch_size) == ((0, 2), ("threads",), (16,))
    assert (options.augmentation_mode, options.check) == (("moderate",), True)
    assert options.data_dir == tmp_path / "images"
    assert merged().num_workers == (0, 1, 2, 4, 8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("worker = 2", "sweep.toml: 'worker', expected one of data_dir"),
        ("num_workers = ", "expected TOML"),
        ("num_workers = [-1]", r"sweep.toml: num_workers: -1, expected a whole number of 0 or more"),
        ("num_workers = []", "sweep.toml: num_workers: an empty list, expected one value or more"),
        ("num_workers = [true]", "sweep.toml: num_workers: True, expected a whole number"),
        ("seconds = 0", "sweep.toml: seconds: '0', expected a time above 0"),
        ("check = 1", "sweep.toml: check: 1, expected true or false"),
        ("engine = [1]", "sweep.toml: engine: 1, expected text"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_the_file(tmp_path: Path, text: str, message: str) -> None:
    config = tmp_path / "sweep.toml"
    config.write_text(text)
    with pytest.raises(UsageError, match=message):
        merged("--config", str(config))


@pytest.mark.parametrize("words", [["--num-workers", "-1"], ["--seconds", "0"], ["--batch-size", "0"]])
def test_a_number_out_of_range_is_a_usage_error(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(["sweep", f"{words[0]}={words[1]}"]) == 2
    assert f"argument {words[0]}: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--engine", "threads", "magic", "--num-workers", "1"], "engine: 'magic'"),
        (["--augmentation-mode", "wild"], "'wild', expected one of none"),
        (["--csv", "absent.csv"], "absent.csv: no such file"),
        (["--config", "absent.toml"], "absent.toml"),
    ],
)
def test_usage_errors_are_printed_without_a_traceback(
    quick: list[str], words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*quick, *words]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1  # no progress: nothing was measured
    assert not printed.out


def test_a_missing_folder_is_an_error_with_the_command_that_makes_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["sweep", "--data-dir", "absent"]) == 2
    assert "perfsuite data make" in capsys.readouterr().err


def test_sigterm_reports_what_was_measured(
    quick: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def terminate_after_three_blocks(line: ProgressLine, message: str) -> None:
        if message.startswith("3 blocks"):
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(ProgressLine, "__call__", terminate_after_three_blocks)
    assert main([*quick, "--num-workers", "0", "--augmentation-mode", "none"]) == 130
    out = capsys.readouterr().out
    assert "3 blocks of turns" in out
    assert "interrupted: these are the results until then" in out
