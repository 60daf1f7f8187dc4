"""`--config FILE`: options from a TOML or YAML file. The command line wins over the file.

Each entry is converted and checked as its option on the command line would be:

    batch-size = 64               # --batch-size 64
    amp = true                    # --amp
    num_workers = [0, 2, 4]       # --num-workers 0 2 4
    data_dir = "images"           # relative to the folder of the file
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perfsuite.cli.arguments import CommaSeparated
from perfsuite.cli.output import STDOUT, output_target
from perfsuite.cli.report_option import report_folder
from perfsuite.errors import UsageError
from perfsuite.toml_file import read_toml

YAML_SUFFIXES = (".yaml", ".yml")
_EXPECTED = "{} with options by name"
_PATH_TYPES = (Path, report_folder, output_target)  # relative ones start at the folder of the file


def add_config_argument(parser: argparse.ArgumentParser) -> None:
    """Add --config to a parser made by `CommandParser`, which reads the file."""
    parser.add_argument(
        "--config",
        type=Path,
        action="append",
        metavar="FILE",
        help="options from a TOML file, or YAML with PyYAML",
    )


class CommandParser(argparse.ArgumentParser):
    """A parser whose `--config` files are the defaults of its other options."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        known, rest = super().parse_known_args(args, namespace)
        paths = getattr(known, "config", None)
        if not paths:
            return known, rest
        values = {dest: value for path in paths for dest, value in self._read_config(path).items()}
        return super().parse_known_args(args, argparse.Namespace(**values))

    def _read_config(self, path: Path) -> dict[str, Any]:
        """The values of a file, by their names in the namespace."""
        options = {action.dest: action for action in self._actions if action.option_strings}
        known = [name for name in options if name not in ("help", "config")]
        values: dict[str, Any] = {}
        for key, entry in read_config_file(path).items():
            name = str(key).replace("-", "_")
            if name not in known:
                raise UsageError(f"{path}: {key!r}, expected one of {', '.join(known)}")
            if name in values:
                raise UsageError(f"{path}: {name} is given twice, with '-' and with '_', expected it once")
            values[name] = _convert(f"{path}: {name}", options[name], entry, path.parent)
        return values


def read_config_file(path: Path) -> Mapping[str, Any]:
    """The entries of a TOML file, or of a YAML file by its suffix."""
    if path.suffix.lower() not in YAML_SUFFIXES:
        return read_toml(path, _EXPECTED.format("TOML"))
    entries = _read_yaml(path)
    if not isinstance(entries, dict):
        raise UsageError(f"{path}: {type(entries).__name__}, expected {_EXPECTED.format('YAML')}")
    return entries


def _read_yaml(path: Path) -> Any:
    if importlib.util.find_spec("yaml") is None:
        raise UsageError(f"{path}: PyYAML is not installed; pip install 'perfsuite[yaml]', or write TOML")
    import yaml

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise UsageError(f"{path}: nested too deeply, expected {_EXPECTED.format('YAML')}") from error
    except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: not UTF-8, or a very long number
        raise UsageError(f"{path}: {error}; expected YAML") from error


def _convert(who: str, action: argparse.Action, entry: object, folder: Path) -> object:
    """The value that argparse would give the option for this entry."""
    if isinstance(action, argparse.BooleanOptionalAction) or action.nargs == 0:
        if not isinstance(entry, bool):
            raise UsageError(f"{who}: {entry!r}, expected true or false")
        return entry
    if action.nargs != "+":
        return _convert_one(who, action, entry, folder)
    entries = entry if isinstance(entry, list) else [entry]
    if not entries:
        raise UsageError(f"{who}: an empty list, expected one value or more")
    return [_convert_one(who, action, each, folder) for each in entries]


def _convert_one(who: str, action: argparse.Action, entry: object, folder: Path) -> object:
    convert: Any = action.type or str
    kind = convert.parse if isinstance(convert, CommaSeparated) else convert
    if kind in (str, *_PATH_TYPES):
        if not isinstance(entry, str):
            raise UsageError(f"{who}: {entry!r}, expected text")
        if "\0" in entry:
            raise UsageError(f"{who}: {entry!r}, expected text without a NUL character")
    if kind in _PATH_TYPES and not (kind is output_target and entry == STDOUT):
        entry = folder / str(entry)
    try:
        value = convert(str(entry))
    except (argparse.ArgumentTypeError, ValueError) as error:
        raise UsageError(f"{who}: {error}") from error
    if action.choices is not None and value not in action.choices:
        raise UsageError(f"{who}: {value!r}, expected one of {', '.join(map(str, action.choices))}")
    return value
