"""`--config FILE`: the options of a TOML or YAML file, under those of the command line."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from perfsuite.cli.commands.train import add_arguments
from perfsuite.cli.config_file import CommandParser
from perfsuite.errors import UsageError


def parse(*words: str) -> argparse.Namespace:
    parser = CommandParser()
    add_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("train.toml", 'batch_size = 64\ndata-dir = "images"\namp = true\nresume = true\nlr = -0.0\n'),
        ("train.yaml", "batch_size: 64\ndata-dir: images\namp: true\nresume: true\nlr: -0.0\n"),
        ("train.yml", "batch_size: 64\ndata-dir: images\namp: true\nresume: true\nlr: -0.0\n"),
    ],
)
def test_a_file_sets_options_and_its_paths_start_at_its_folder(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    given = parse("--config", str(path))
    assert (given.batch_size, given.amp, given.resume) == (64, True, True)
    assert given.data_dir == tmp_path / "images"
    assert parse(f"--config={path}").batch_size == 64


def test_the_command_line_wins_wherever_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "train.toml"
    path.write_text("batch_size = 64\nepochs = 3\namp = true\n")
    for words in (["--batch-size", "32", "--config", str(path)], ["--config", str(path), "--batch-size=32"]):
        given = parse(*words, "--no-amp")
        assert (given.batch_size, given.epochs, given.amp) == (32, 3, False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batchsize = 64", "'batchsize', expected one of .*batch_size"),
        ("help = true", "'help', expected one of"),
        ('config = "other.toml"', "'config', expected one of"),
        ("amp = 1", "amp: 1, expected true or false"),
        ("batch_size = true", "batch_size: True, expected a whole number of 1 or more"),
        ("batch_size = [1]", r"batch_size: \[1\], expected a whole number of 1 or more"),
        ("batch_size = 1\nbatch-size = 2", "given twice"),
        ("batch_size =", "expected TOML"),
        ("batch_size = 0", "batch_size: 0, expected a whole number of 1 or more"),
        ("model = 18", "model: 18, expected text"),
        ("schedule = 'linear'", "schedule: 'linear', expected one of cosine, one_cycle, constant"),
    ],
)
def test_a_wrong_entry_is_an_error_that_names_the_file(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "train.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=rf"train\.toml: .*{message}"):
        parse("--config", str(path))


def test_yaml_makes_no_objects_and_must_be_a_table(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    for text in ("!!python/object/apply:os.system [true]", "- a", "a: [", ""):
        path.write_text(text)
        with pytest.raises(UsageError, match=r"(?s)train\.yaml: .*expected YAML"):
            parse("--config", str(path))


def test_a_file_is_needed_and_its_option_may_be_shortened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "train.toml"
    path.write_text("batch_size = 64")
    assert parse("--conf", str(path)).batch_size == 64
    with pytest.raises(SystemExit):
        parse("--config")
    assert "--config: expected one argument" in capsys.readouterr().err


def test_a_later_file_wins_over_an_earlier_one(tmp_path: Path) -> None:
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    first.write_text("batch_size = 64\nepochs = 3")
    second.write_text("batch_size = 16")
    given = parse("--config", str(first), "--config", str(second))
    assert (given.batch_size, given.epochs) == (16, 3)
