"""`--config FILE`: options from a TOML or YAML file. The command line wins over the file.

The entries are put in front of the words of the command line, so that argparse checks both alike:

    batch-size = 64         # train.toml: --batch-size=64
    amp = true              # --amp
    data_dir = "images"     # relative to the folder of the file
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from perfsuite.errors import UsageError

OPTION = "--config"
YAML_SUFFIXES = (".yaml", ".yml")


def add_config_argument(parser: argparse.ArgumentParser) -> None:
    """Add --config to a parser made by `CommandParser`, which replaces it by the file's options."""
    parser.add_argument(
        OPTION, action=_UnreadConfig, metavar="FILE", help="options from a TOML file, or YAML with PyYAML"
    )


class CommandParser(argparse.ArgumentParser):
    """A parser that reads the options of a config file before those of the command line."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        if args is not None and any(isinstance(action, _UnreadConfig) for action in self._actions):
            args = self._replace_config(list(args))
        return super().parse_known_args(args, namespace)

    def _replace_config(self, words: list[str]) -> list[str]:
        from_files: list[str] = []
        rest = iter(words)
        others: list[str] = []
        for word in rest:
            option, has_value, value = word.partition("=")
            if option != OPTION:
                others.append(word)
                continue
            path = value if has_value else next(rest, None)
            if path is None:
                self.error(f"argument {OPTION}: expected one argument")
            from_files += self._words_of_file(Path(path))
        return [*from_files, *others]

    def _words_of_file(self, path: Path) -> Iterator[str]:
        given: set[str] = set()
        for key, value in read_config_file(path).items():
            name = str(key).replace("_", "-")
            action = self._option_string_actions.get(f"--{name}")
            if action is None or action.dest == "help" or isinstance(action, _UnreadConfig):
                options = sorted(
                    option.removeprefix("--") for option in self._option_string_actions if option[:2] == "--"
                )
                raise UsageError(f"{path}: {key!r}, expected one of {', '.join(options)}")
            if name in given:
                raise UsageError(f"{path}: {name} is given twice, with '-' and with '_', expected it once")
            given.add(name)
            yield from _words_of_entry(path, name, action, value)


class _UnreadConfig(argparse.Action):
    """Called only where --config is written in another way, because else its words were replaced."""

    def __call__(self, parser: argparse.ArgumentParser, *unused: Any, **others: Any) -> None:
        parser.error(f"argument {OPTION}: expected it in full, as {OPTION} FILE")


def read_config_file(path: Path) -> Mapping[str, Any]:
    """The entries of a TOML file, or of a YAML file by its suffix."""
    import tomllib  # every command imports this module; few read a file

    kind = "YAML" if path.suffix.lower() in YAML_SUFFIXES else "TOML"
    try:
        text = path.read_text(encoding="utf-8")
        entries = tomllib.loads(text) if kind == "TOML" else _parse_yaml(path, text)
    except RecursionError as error:
        raise UsageError(f"{path}: nested too deeply, expected {kind} with one value per option") from error
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, not TOML, or a number of 5000 digits
        raise UsageError(f"{path}: {error}; expected {kind}") from error
    if not isinstance(entries, dict):
        raise UsageError(f"{path}: {type(entries).__name__}, expected {kind} with one value per option")
    return entries


def _parse_yaml(path: Path, text: str) -> Any:
    if importlib.util.find_spec("yaml") is None:
        raise UsageError(f"{path}: PyYAML is not installed; pip install 'perfsuite[yaml]', or write TOML")
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: {error}; expected YAML") from error


def _words_of_entry(path: Path, name: str, action: argparse.Action, value: object) -> Iterator[str]:
    if isinstance(action, argparse.BooleanOptionalAction) or action.nargs == 0:
        if not isinstance(value, bool):
            raise UsageError(f"{path}: {name}: {value!r}, expected true or false")
        if value or isinstance(action, argparse.BooleanOptionalAction):
            yield f"--{'' if value else 'no-'}{name}"
        return
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UsageError(f"{path}: {name}: {value!r}, expected text or a number")
    yield f"--{name}={path.parent / value if action.type is Path and isinstance(value, str) else value}"
