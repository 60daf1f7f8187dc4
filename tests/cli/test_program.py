"""The program: its commands, its exit codes, and every command in an installation of the core alone."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from perfsuite.cli import main
from perfsuite.cli.program import command_names, load_command
from perfsuite.store.runs import RunStore
from tests.cli.command_examples import examples, full_parser, parsers
from tests.store.sample_runs import a_run

# Packages of the extras. Triton comes with PyTorch.
BLOCKED = (
    "torch",
    "torchvision",
    "cv2",
    "albumentations",
    "PIL",
    "numba",
    "llvmlite",
    "matplotlib",
    "triton",
    "simplejpeg",
)

# What runs in a process where those packages cannot be imported.
BLOCKED_PROGRAM = """
import contextlib, importlib.abc, io, json, sys

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
from perfsuite.cli import main

results = {{}}
for words in {commands!r}:
    out, err = io.StringIO(), io.StringIO()
    before = set(sys.modules)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(words)
        except SystemExit as exited:
            code = exited.code
    results[" ".join(words)] = [code, err.getvalue(), sorted(set(sys.modules) - before)]
print(json.dumps(results))
"""

NEEDS_VISION = {
    "train": "PyTorch",
    "predict image.jpg": "PyTorch",
    "counters": "PyTorch",
    "scaling": "PyTorch",
    "sweep": "PyTorch",
    "advise": "PyTorch",
    "profile loading": "PyTorch",
    "profile transforms": "PyTorch",
    "claims": "P",  # PyTorch or Pillow, whichever is imported first
    "data make images": "Pillow",
    "data maps annotations.json maps": "P",
    "data shards images shards": "P",
}
CORE = {
    "compare main head": 0,
    "baseline list": 0,
    "render gate.json": 13,  # which is absent
    "gate --base main": 2,  # outside a repository
    "bisect --good a --bad b test": 2,
    "completion bash": 0,
    "history": 0,
    "export --format csv": 0,
    "report": 0,
    "merge gate.json": 13,
}


def run_blocked(commands: list[list[str]], folder: Path) -> dict[str, list[Any]]:
    """Exit code, standard error and newly imported modules of each command."""
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED_PROGRAM.format(blocked=BLOCKED, commands=commands)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(sys.path), "GIT_CEILING_DIRECTORIES": str(folder.parent)},
    )
    assert done.returncode == 0, done.stderr
    results: dict[str, list[Any]] = json.loads(done.stdout)
    return results


@pytest.fixture(scope="module")
def core_only(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    folder = tmp_path_factory.mktemp("core")
    store = RunStore(str(folder / ".perfsuite" / "runs"))
    for name, commit in (("main", "c0"), ("head", "c1")):
        for number in range(5):
            jitter = 1 + 0.001 * (number % 3)
            run = a_run(
                name,
                commit,
                seconds={"test_a": 0.01 * jitter},
                created_at=f"2026-08-01T12:0{number}:{commit}",
            )
            store.save(run, {})
    helps = [["--help"], *([name, "--help"] for name in command_names())]
    runs = [command.split() for command in (*NEEDS_VISION, *CORE)]
    return run_blocked([*helps, *runs], folder)


@pytest.mark.parametrize("command", ["", *command_names()])
def test_help_needs_only_the_core(command: str, core_only: Mapping[str, list[Any]]) -> None:
    code, err, _ = core_only[f"{command} --help".strip()]
    assert (code, err) == (0, "")


@pytest.mark.parametrize(("command", "code"), CORE.items())
def test_the_gate_and_stored_runs_need_only_the_core(
    command: str, code: int, core_only: Mapping[str, list[Any]]
) -> None:
    actual, err, _ = core_only[command]
    assert actual == code, err
    assert "not installed" not in err


@pytest.mark.parametrize(("command", "package"), NEEDS_VISION.items())
def test_a_command_that_needs_an_extra_names_it_in_one_line(
    command: str, package: str, core_only: Mapping[str, list[Any]]
) -> None:
    code, err, _ = core_only[command]
    assert code == 2, err
    name = command.partition(" ")[0]
    assert err.startswith(f"perfsuite {name}: needs {package}"), err
    assert err.endswith("which is not installed; pip install 'perfsuite[vision]'\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["--help", "compare --help", "baseline --help"])
def test_the_help_imports_nothing_slow(command: str, tmp_path: Path) -> None:
    _, _, modules = run_blocked([command.split()], tmp_path)[command]
    assert not {"numpy", "scipy", "rich", "pytest"} & set(modules)


def test_every_command_is_tried_without_the_extras() -> None:
    tried = {command.partition(" ")[0] for command in (*NEEDS_VISION, *CORE)}
    assert tried | {"doctor"} == set(command_names())  # the doctor's own workloads take seconds


def test_the_blocked_process_cannot_import_an_extra(tmp_path: Path) -> None:
    """The negative control: a command that imports PyTorch at its top fails."""
    code = textwrap.dedent(BLOCKED_PROGRAM.format(blocked=BLOCKED, commands=[])) + "import torch\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "No module named 'torch'" in done.stderr


@pytest.mark.parametrize("name", command_names())
def test_a_command_has_a_summary_arguments_and_a_function_to_run(name: str) -> None:
    command = load_command(name)
    assert (command.__doc__ or "").partition("\n")[0]
    assert callable(command.add_arguments)
    assert callable(command.run)


def test_the_help_lists_every_command_with_its_summary(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out = " ".join(capsys.readouterr().out.split())
    for name in command_names():
        assert name in out
    assert "Judge a change: base against head in turns" in out


@pytest.mark.parametrize("parser", list(parsers(full_parser())), ids=lambda parser: parser.prog)
def test_every_help_has_an_example(parser: argparse.ArgumentParser) -> None:
    assert examples(parser)


def test_without_a_command_the_help_is_printed_and_it_is_a_usage_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == 2
    assert "usage: perfsuite" in capsys.readouterr().out
