"""Completion scripts: the shells accept them, and they know every command and option."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from perfsuite.cli import main
from perfsuite.cli.commands.completion import SHELLS
from tests.cli.command_examples import full_parser, parsers

# Shell code that loads the script and prints what completes "perfsuite gate --ba".
COMPLETE = {
    "bash": "source {script}; COMP_WORDS=(perfsuite gate --ba); COMP_CWORD=2;"
    ' $(complete -p perfsuite | sed -E "s/.*-F ([^ ]+).*/\\1/"); echo "${{COMPREPLY[@]}}"',
    "fish": "source {script}; complete -C 'perfsuite gate --ba'",
}


def completion(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_has_every_option(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    script = completion(shell, capsys)
    options = {
        option
        for parser in parsers(full_parser())
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--")
    }
    assert len(options) > 80
    # fish writes `-l name` for `--name`
    shown = {option: option.removeprefix("--") if shell == "fish" else option for option in options}
    assert [option for option, text in shown.items() if text not in script] == []


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_accepts_the_script(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "script"
    script.write_text(completion(shell, capsys))
    subprocess.run([program, "-n", str(script)], check=True, timeout=60)
    script.write_text("if (((\n")  # the control
    assert subprocess.run(
        [program, "-n", str(script)], check=False, timeout=60, capture_output=True
    ).returncode


@pytest.mark.parametrize("shell", COMPLETE)
def test_an_option_is_completed(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "script"
    script.write_text(completion(shell, capsys))
    done = subprocess.run(
        [program, "-c", COMPLETE[shell].format(script=script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.split()[:1] == ["--base"], done.stderr


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["completion", "csh"])
    assert "bash" in capsys.readouterr().err
