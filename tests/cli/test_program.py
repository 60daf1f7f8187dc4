"""The program: its commands, its exit codes, and every command in an installation of the core alone."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from perfsuite.cli import main, program
from perfsuite.cli.program import command_names, load_command
from perfsuite.errors import ExitCode, StoreError, UsageError
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


@pytest.mark.parametrize("command", ["compare", "baseline"])
def test_help_of_stored_runs_imports_nothing_slow(command: str, tmp_path: Path) -> None:
    _, _, modules = run_blocked([[command, "--help"]], tmp_path)[f"{command} --help"]
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


def test_sigterm_interrupts_any_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plant_command(monkeypatch, act=lambda: signal.raise_signal(signal.SIGTERM))
    assert main(["planted"]) == ExitCode.INTERRUPTED
    assert "perfsuite planted: interrupted\n" in capsys.readouterr().err


def test_a_rank_of_torchrun_ends_at_once_by_sigterm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    handlers = []
    plant_command(monkeypatch, act=lambda: handlers.append(signal.getsignal(signal.SIGTERM)))
    main(["planted"])
    assert handlers == [signal.SIG_DFL]


def test_without_a_command_the_help_is_printed_and_it_is_a_usage_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == 2
    assert "usage: perfsuite" in capsys.readouterr().out


def plant_command(
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException | None = None,
    act: Callable[[], object] = lambda: None,
) -> None:
    """A command `planted` whose run acts, and raises the error if there is one."""
    command = ModuleType("planted", "Raise an error.")

    def run(arguments: Any) -> int:
        act()
        if error is not None:
            raise error
        return 0

    command.add_arguments = lambda parser: None  # type: ignore[attr-defined]
    command.run = run  # type: ignore[attr-defined]
    monkeypatch.setattr(program, "command_names", lambda: ["planted"])
    monkeypatch.setattr(program, "load_command", lambda name: command)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UsageError("a mistake"), 2, "perfsuite planted: a mistake\n"),
        (StoreError("unreadable"), 13, "perfsuite planted: unreadable\n"),
        (KeyboardInterrupt(), 130, "perfsuite planted: interrupted\n"),
        (ZeroDivisionError("a bug"), 3, "ZeroDivisionError: a bug\nperfsuite planted: internal error"),
        (ModuleNotFoundError("no perfsuit", name="perfsuit"), 3, "internal error"),
        (ModuleNotFoundError("no pytest.absent", name="pytest.absent"), 3, "internal error"),
    ],
    ids=["usage", "store", "interrupt", "bug", "missing module of ours", "missing submodule"],
)
def test_what_a_command_raises_becomes_an_exit_code(
    error: BaseException,
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plant_command(monkeypatch, error)
    assert main(["planted"]) == code
    assert message in capsys.readouterr().err


def test_only_an_internal_error_has_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plant_command(monkeypatch, UsageError("a mistake"))
    main(["planted"])
    assert "Traceback" not in capsys.readouterr().err
    plant_command(monkeypatch, RuntimeError("a bug"))
    main(["planted"])
    assert "Traceback" in capsys.readouterr().err


def test_a_closed_pipe_keeps_the_exit_code_of_the_command(tmp_path: Path) -> None:
    for name, median in (("a", 1.0), ("b", 2.0)):
        (tmp_path / name).mkdir()
        for number in range(5):
            run = {
                "benchmarks": [{"fullname": "t", "stats": {"median": median + number / 1000}}],
                "datetime": f"2026-{number}{name}",  # in turns
            }
            (tmp_path / name / f"{number}.json").write_text(json.dumps(run))
    command = [sys.executable, "-m", "perfsuite", "compare", "a", "b"]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            command,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
    finally:
        os.close(writer)
    assert done.returncode == 1, done.stderr
    assert "BrokenPipe" not in done.stderr
