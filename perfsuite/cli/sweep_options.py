"""Options of `perfsuite sweep` and `perfsuite advise`, as typed values."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from perfsuite.errors import UsageError

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


AnyOptions = TypeVar("AnyOptions", bound=SweepOptions)


def options_from(arguments: argparse.Namespace, options_type: type[AnyOptions], who: str) -> AnyOptions:
    """The options that the command line or a config file gives, over the defaults of the type."""
    names = {field.name for field in fields(options_type)}
    given: dict[str, Any] = {
        name: _flatten(value) if isinstance(value, list) else value
        for name, value in vars(arguments).items()
        if name in names
    }
    _check_loader_source(given, who)
    return options_type(**given)


def _flatten(values: list[object]) -> tuple[object, ...]:
    """The values of `0,2 4`, where each word may have several."""
    return tuple(item for value in values for item in (value if isinstance(value, tuple) else (value,)))


def _check_loader_source(options: Mapping[str, object], who: str) -> None:
    """Refuse options of perfsuite's loaders beside a loader of the user's own, which decides these itself."""
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
