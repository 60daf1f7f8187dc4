"""Options of `perfsuite sweep`: checked alike, whether the command line or a file sets them.

>>> SweepOptions(**check_options({"num-workers": [0, 2], "engine": "threads"}, "sweep.toml")).num_workers
(0, 2)
>>> check_options({"batch_size": 0}, "sweep.toml")
Traceback (most recent call last):
perfsuite.errors.UsageError: sweep.toml: batch_size: 0, expected a whole number of 1 or more
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from perfsuite.cli.arguments import NONNEGATIVE_INT, POSITIVE, POSITIVE_INT
from perfsuite.cli.config_file import read_config_file
from perfsuite.cli.output import STDOUT
from perfsuite.errors import UsageError
from perfsuite.judge.units import Range

# What only perfsuite's loaders for images have.
ONLY_FOR_IMAGES = (
    *("data_dir", "csv", "file_column", "label_column", "engine", "augmentation_mode"),
    *("image_size", "decoder", "on_error", "start_method"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepOptions:
    """What a sweep loads, in which settings, for how long; and where the figures go."""

    data_dir: Path | None = None
    csv: Path | None = None
    file_column: str = "file"
    label_column: str = "label"
    dataset: str | None = None
    loader: str | None = None
    model: str | None = None
    num_workers: tuple[int, ...] = (0, 1, 2, 4, 8)
    engine: tuple[str, ...] = ("auto",)
    prefetch_factor: tuple[int, ...] = (2,)
    augmentation_mode: tuple[str, ...] = ("moderate",)
    batch_size: tuple[int, ...] = (32,)
    image_size: int = 224
    decoder: tuple[str, ...] = ("auto",)
    on_error: str = "raise"
    start_method: str | None = None
    epochs: int = 50
    seconds: float = 90.0
    check: bool = False
    json: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdviseOptions(SweepOptions):
    """Empty lists are filled in by the machine: its cores, and the decoders that are installed."""

    num_workers: tuple[int, ...] = ()
    engine: tuple[str, ...] = ("threads", "processes", "subprocess")
    prefetch_factor: tuple[int, ...] = (2, 1, 4)
    batch_size: tuple[int, ...] = (32, 64)
    decoder: tuple[str, ...] = ()
    seconds: float = 120.0
    timeout: float = 60.0
    device: str = "auto"
    settings: Path = Path("loader-settings.toml")


def option_names(options_type: type[SweepOptions]) -> list[str]:
    return [field.name for field in fields(options_type)]


def read_options(path: Path, options_type: type[SweepOptions] = SweepOptions) -> dict[str, Any]:
    """The checked options of a TOML or YAML file; its relative paths start at the file's folder."""
    entries = read_config_file(path)
    options = check_options(entries, str(path), options_type)
    for name in ("data_dir", "csv", "settings"):
        if name in options:
            options[name] = path.parent / options[name]
    if options.get("json", STDOUT) != STDOUT:
        options["json"] = str(path.parent / options["json"])
    return options


def check_loader_source(options: Mapping[str, object], who: str) -> None:
    """A loader of the user's own decides by itself what perfsuite's loaders are told by options."""
    own = [name for name in ("dataset", "loader") if options.get(name) is not None]
    if not own:
        return
    if len(own) > 1:
        raise UsageError(f"{who}: --dataset and --loader, expected one of them")
    superfluous = [name for name in ONLY_FOR_IMAGES if name in options]
    if superfluous:
        option = f"--{superfluous[0].replace('_', '-')}"
        raise UsageError(
            f"{who}: {option} with --{own[0]}, expected neither or one of them; the loader decides that "
            "itself"
        )


def check_options(
    entries: Mapping[str, object], who: str, options_type: type[SweepOptions] = SweepOptions
) -> dict[str, Any]:
    """Convert each entry to the type of its option; UsageError names `who` and the entry."""
    known, options = option_names(options_type), dict[str, Any]()
    for key, value in entries.items():
        name = key.replace("-", "_")
        if name not in known:
            raise UsageError(f"{who}: {key!r}, expected one of {', '.join(known)}")
        if name in options:
            raise UsageError(f"{who}: {name} is given twice, with '-' and with '_', expected it once")
        options[name] = _CHECKS[name](f"{who}: {name}", value)
    return options


def _check_text(who: str, value: object) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{who}: {value!r}, expected text")
    if "\0" in value:
        raise UsageError(f"{who}: {value!r}, expected text without a NUL character")
    return value


def _check_path(who: str, value: object) -> Path:
    return value if isinstance(value, Path) else Path(_check_text(who, value))


def _check_flag(who: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{who}: {value!r}, expected true or false")
    return value


def _check_number(expected: Range, who: str, value: object) -> object:
    expected.check(who, value)
    return value


def _check_list(check: Callable[[str, object], object], who: str, value: object) -> tuple[object, ...]:
    """One value stands for a list of one."""
    words = value if isinstance(value, list | tuple) else [value]
    values = [item for word in words for item in (word if isinstance(word, tuple) else (word,))]  # "0,2 4"
    if not values:
        raise UsageError(f"{who}: an empty list, expected one value or more")
    return tuple(check(who, item) for item in values)


_CHECKS: dict[str, Callable[[str, object], object]] = {
    "data_dir": _check_path,
    "csv": _check_path,
    "file_column": _check_text,
    "label_column": _check_text,
    "dataset": _check_text,
    "loader": _check_text,
    "model": _check_text,
    "num_workers": partial(_check_list, partial(_check_number, NONNEGATIVE_INT)),
    "engine": partial(_check_list, _check_text),
    "prefetch_factor": partial(_check_list, partial(_check_number, POSITIVE_INT)),
    "augmentation_mode": partial(_check_list, _check_text),
    "batch_size": partial(_check_list, partial(_check_number, POSITIVE_INT)),
    "image_size": partial(_check_number, POSITIVE_INT),
    "decoder": partial(_check_list, _check_text),
    "on_error": _check_text,
    "start_method": _check_text,
    "epochs": partial(_check_number, POSITIVE_INT),
    "seconds": partial(_check_number, POSITIVE),
    "check": _check_flag,
    "json": _check_text,
    "timeout": partial(_check_number, POSITIVE),
    "device": _check_text,
    "settings": _check_path,
}
