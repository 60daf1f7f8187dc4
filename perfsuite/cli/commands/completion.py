"""Print the completion of commands and options for a shell.

  perfsuite completion bash > ~/.local/share/bash-completion/completions/perfsuite
  perfsuite completion zsh > ~/.zfunc/_perfsuite       # where fpath has ~/.zfunc, before compinit
  perfsuite completion fish > ~/.config/fish/completions/perfsuite.fish

The script is complete in itself: no program runs at a press of Tab. Write it again after an upgrade.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")


def run(arguments: argparse.Namespace) -> int:
    import shtab

    from perfsuite.cli import program
    from perfsuite.errors import ExitCode

    parser = program.build_parser(program.command_names())
    for action in _actions(parser):
        if complete := _paths(action):
            action.complete = complete  # type: ignore[attr-defined]
    print(shtab.complete(parser, arguments.shell))
    return ExitCode.KEPT


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every argument of the parser and of its commands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
        else:
            yield action


def _paths(action: argparse.Action) -> Mapping[str, object] | None:
    """What completes the value of an argument: files or folders, None for anything else."""
    import shtab

    if action.metavar in ("DIR", "ROOT"):
        return shtab.DIRECTORY
    return shtab.FILE if action.metavar in ("FILE", "TEST", "PYTEST") or action.type is Path else None
