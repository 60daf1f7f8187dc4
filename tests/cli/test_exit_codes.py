"""Exit codes, whatever a command raises and its output meets: 1 only means regressed or broken."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import perfsuite
from perfsuite.cli import main, program
from perfsuite.errors import ExitCode, PerfsuiteError, StoreError, UsageError


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
        (UsageError("planted: a mistake"), 2, "perfsuite planted: a mistake\n"),
        (StoreError("unreadable"), 13, "perfsuite planted: unreadable\n"),
        (KeyboardInterrupt(), 130, "perfsuite planted: interrupted\n"),
        (ZeroDivisionError("a bug"), 3, "ZeroDivisionError: a bug\nperfsuite planted: internal error"),
        (SystemExit(1), 2, "perfsuite planted: code that the command ran ended the program (SystemExit: 1)"),
        (SystemExit(), 2, "(SystemExit: None), expected it to return; remove sys.exit"),
        (GeneratorExit("a bug"), 3, "GeneratorExit: a bug\nperfsuite planted: internal error"),
        (ModuleNotFoundError("no perfsuit", name="perfsuit"), 3, "internal error"),
        (ModuleNotFoundError("no pytest.absent", name="pytest.absent"), 3, "internal error"),
    ],
    ids=[
        *(
            "usage",
            "usage of the command",
            "store",
            "interrupt",
            "bug",
            "exit",
            "exit without code",
            "no Exception",
        ),
        *("missing module of ours", "missing submodule"),
    ],
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


def errors_of_the_package() -> set[type[PerfsuiteError]]:
    """PerfsuiteError and all that derive from it, from every module that defines an error."""
    root = Path(perfsuite.__file__).parent
    for path in root.rglob("*.py"):
        if re.search(r"^class \w+\(\w*Error\)", path.read_text(), re.MULTILINE):
            import_module(".".join(("perfsuite", *path.relative_to(root).with_suffix("").parts)))
    found, unseen = set[type[PerfsuiteError]](), [PerfsuiteError]
    while unseen:
        kind = unseen.pop()
        found.add(kind)
        unseen += kind.__subclasses__()
    return found


def test_no_error_has_the_exit_code_of_a_regression() -> None:
    class PlantedError(PerfsuiteError):
        exit_code = ExitCode.REGRESSED

    errors = errors_of_the_package()
    assert {"DataError", "BadLossError", "SideProcessError"} <= {kind.__name__ for kind in errors}
    assert {kind for kind in errors if kind.exit_code in (0, 1)} == {PlantedError}  # the negative control


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
    with closed_pipe() as writer:
        done = run_program(tmp_path, "compare", "a", "b", stdout=writer)
        assert done.returncode == 1, done.stderr
        assert "BrokenPipe" not in done.stderr
        assert run_program(tmp_path, "compare", "a", "b", stderr=writer).returncode == 1
        assert run_program(tmp_path, "compare", "a", "absent", stderr=writer).returncode == 13


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_output_that_cannot_be_written_is_an_error_and_no_regression(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = run_program(tmp_path, "--help", stdout=full)
        assert done.returncode == ExitCode.INTERNAL
        assert done.stderr == "perfsuite: the output cannot be written: No space left on device\n"
        # 120 is Python's own, for a stream that it cannot flush at the end.
        assert run_program(tmp_path, "compare", "a", "b", stderr=full).returncode in (ExitCode.INTERNAL, 120)
    assert run_program(tmp_path, "--help").returncode == 0


@contextmanager
def closed_pipe() -> Iterator[int]:
    """The end to write into, of a pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        yield writer
    finally:
        os.close(writer)


def run_program(folder: Path, *words: str, **streams: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "perfsuite", *words],
        **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams),
        text=True,
        check=False,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
