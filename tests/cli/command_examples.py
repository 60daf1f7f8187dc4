"""The parsers of all commands, and the examples that their `--help` shows."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import cache

from perfsuite.cli import program

PROGRAMS = ("perfsuite ", "torchrun ")


@cache
def full_parser() -> argparse.ArgumentParser:
    return program.build_parser(program.command_names())


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parser, and those of its commands and their actions."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from parsers(command)


def examples(parser: argparse.ArgumentParser) -> list[str]:
    """The commands in the help of a parser: indented lines that begin with a program."""
    text = f"{parser.description}\n{parser.epilog}"
    lines = text.replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.startswith("  ") and line.strip().startswith(PROGRAMS)]
