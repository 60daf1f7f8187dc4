"""Settings of `make_loaders` that decide its speed and not its images, in a TOML file.

>>> settings = SpeedSettings(num_workers=2, engine="threads", prefetch_factor=4)
>>> settings.given
{'num_workers': 2, 'engine': 'threads', 'prefetch_factor': 4}
>>> print(settings.to_toml(["# two workers"]), end="")
# two workers
num_workers = 2
engine = "threads"
prefetch_factor = 4
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from perfsuite.errors import UsageError
from perfsuite.toml_file import read_toml

MAX_FILE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedSettings:
    """None leaves an option to `make_loaders`."""

    batch_size: int | None = None
    num_workers: int | None = None
    engine: str | None = None
    prefetch_factor: int | None = None
    decoder: str | None = None

    @property
    def given(self) -> dict[str, Any]:
        """The options that are set."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def overridden_by(self, **arguments: int | str | None) -> SpeedSettings:
        """These settings, except where an argument is given.

        >>> SpeedSettings(num_workers=2, engine="threads").overridden_by(num_workers=0, engine=None)
        SpeedSettings(batch_size=None, num_workers=0, engine='threads', prefetch_factor=None, decoder=None)
        """
        given = {name: value for name, value in arguments.items() if value is not None}
        return SpeedSettings(**{**self.given, **given})

    def to_toml(self, comments: Iterable[str] = ()) -> str:
        # JSON's form of a plain name or a number is TOML's too.
        lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in self.given.items()]
        return "\n".join([*comments, *lines]) + "\n"


def read_speed_settings(path: str | Path) -> SpeedSettings:
    """Read a settings file; UsageError names the file, the entry and what was expected."""
    path = Path(path)
    if path.is_file() and path.stat().st_size > MAX_FILE_BYTES:
        raise UsageError(f"{path}: more than {MAX_FILE_BYTES} bytes, expected loader settings in TOML")
    entries = read_toml(path, "TOML, as `perfsuite advise` writes it")
    return check_speed_settings(entries, str(path))


def check_speed_settings(entries: dict[str, Any], who: str) -> SpeedSettings:
    """The settings of plain values.

    >>> check_speed_settings({"num_workers": -1}, "loader.toml")
    Traceback (most recent call last):
    perfsuite.errors.UsageError: loader.toml: num_workers: -1, expected a whole number of 0 or more
    """
    known = [field.name for field in fields(SpeedSettings)]
    for name, value in entries.items():
        if name not in known:
            raise UsageError(f"{who}: {name!r}, expected one of {', '.join(known)}")
        if name in ("engine", "decoder"):
            if not isinstance(value, str):
                raise UsageError(f"{who}: {name}: {value!r}, expected text")
            continue
        least = 0 if name == "num_workers" else 1
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise UsageError(f"{who}: {name}: {value!r}, expected a whole number of {least} or more")
    return SpeedSettings(**entries)
