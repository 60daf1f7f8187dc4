"""Every command that a page or a help shows exists, with its options; under --slow they run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from perfsuite.cli import main
from tests.cli.command_examples import examples, full_parser, parsers
from tests.docs.pages import PAGES, ROOT, commands, shell_statements
from tests.docs.playground import Playground

MAKE_TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
# Programs of others. Their options are not ours to check.
FOREIGN = {"cd", "git", "pip", "source", "pre-commit", "uv"}
HELP = [example for parser in parsers(full_parser()) for example in examples(parser)]

# Commands of pages and helps that take seconds at most on an idle machine.
QUICK = re.compile(
    r"perfsuite (data|baseline list|completion|predict --model-path m.pth (--json )?\S+$"
    r"|profile (transforms|processes) .*--seconds|train --data-dir images --epochs 1 )"
)
# What needs a network, rights or minutes of a machine.
NEVER = re.compile(
    r"^(source|pip|make|python -m venv|pre-commit|uv )|s3://|--prepare|cifar|resnet|FINGERPRINT|\.\.\.|a\.py|--per-shard"
)
# Exit codes of a verdict, or of a gate or comparison with nothing to judge.
VERDICTS = {0, 1, 10, 11, 12}


class UnknownCommandError(Exception):
    """A page shows a command or an option that does not exist."""


def check_command(words: list[str]) -> None:
    """Raise unless the program, its options and their values are known."""
    words = words[: words.index(">")] if ">" in words else words
    program = words[0]
    if program == "torchrun" or words[:3] == ["python", "-m", "perfsuite"]:
        program, words = "perfsuite", words[words.index("perfsuite") :]
    if words[:3] == ["python", "-m", "pytest"]:
        program = "pytest"
    if program == "perfsuite":
        try:
            full_parser().parse_args(words[1:])
        except SystemExit as exited:
            if exited.code:
                raise UnknownCommandError(" ".join(words)) from exited
    elif program == "make":
        if len(words) > 1 and words[1] not in MAKE_TARGETS:
            raise UnknownCommandError(" ".join(words))
    elif program not in FOREIGN | {"pytest", "python"}:
        raise UnknownCommandError(program)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_exists(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Playground(tmp_path).write_files(page)  # a --config file is read while arguments are parsed
    monkeypatch.chdir(tmp_path)
    for statement in shell_statements(page):
        for words in commands(statement):
            check_command(words)


@pytest.mark.parametrize("example", HELP)
def test_every_command_of_a_help_exists(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("train.toml", "sweep.toml"):  # read while arguments are parsed
        (tmp_path / name).write_text("epochs = 1\n")
    monkeypatch.chdir(tmp_path)
    for words in commands(example):
        check_command(words)


@pytest.mark.parametrize(
    "wrong", ["perfsuite gate --bsae main", "perfsuite swep", "make tests", "perfsweet gate --base main"]
)
def test_a_command_that_does_not_exist_is_found(wrong: str) -> None:
    with pytest.raises(UnknownCommandError):
        check_command(wrong.split())


def test_the_pages_and_helps_have_commands() -> None:
    statements = [statement for page in PAGES for statement in shell_statements(page)]
    assert len(statements) > 70
    assert len(HELP) > 50


def quick(statements: Iterable[str]) -> list[str]:
    chosen = [each for each in dict.fromkeys(statements) if QUICK.match(each) and not NEVER.search(each)]
    return sorted(
        chosen, key=lambda statement: "perfsuite train" not in statement
    )  # the others use its model


@pytest.mark.slow
def test_the_quick_commands_run(
    playground: Playground,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (empty := tmp_path / "empty").mkdir()
    chosen = quick([*(each for page in PAGES for each in shell_statements(page)), *HELP])
    assert len(chosen) >= 12
    for statement in chosen:
        for words in commands(statement):
            if ">" not in words:
                # Images are made where there are none.
                monkeypatch.chdir(empty if words[:3] == ["perfsuite", "data", "make"] else playground.root)
                code = main(words[1:])
                assert code in VERDICTS, f"{statement}\n{capfd.readouterr().err}"


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page != "CONTRIBUTING.md"])
def test_the_commands_of_a_page_run(page: str, playground: Playground, tmp_path: Path) -> None:
    playground.write_files(page)
    playground.commit()
    (empty := tmp_path / "empty").mkdir()
    for statement in shell_statements(page):
        if not NEVER.search(statement):
            # Images are made where there are none.
            folder = empty if statement.startswith("perfsuite data make") else playground.root
            assert run_in_shell(statement, folder) in VERDICTS, statement


@pytest.mark.parametrize(
    "wrong", ["perfsuite swep", "perfsuite data check absent", "python -m pytest absent", "absent"]
)
def test_a_command_that_fails_is_found(wrong: str, tmp_path: Path) -> None:
    assert run_in_shell(wrong, tmp_path) not in VERDICTS


def run_in_shell(statement: str, folder: Path) -> int:
    bin_folder = Path(sys.executable).parent
    paths = os.pathsep.join([str(bin_folder), os.environ["PATH"]])
    done = subprocess.run(
        ["/bin/bash", "-c", statement],
        cwd=folder,
        env=os.environ | {"PATH": paths},
        timeout=1200,
        check=False,
    )
    return done.returncode
