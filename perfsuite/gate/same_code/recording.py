"""Ask a side's process for a recording, and read what it wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfsuite.errors import UsageError
from perfsuite.gate.project_layout import read_file
from perfsuite.gate.same_code.revealing_names import ALL_NAMES
from perfsuite.gate.same_code.side_diff import SideDiff

COMMON = "common"  # the scope of what belongs to no single test


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedScope:
    """What happened during one test, one shared fixture or one collected file."""

    uses: tuple[tuple[str, str], ...] = ()  # kind and phrase: agent/recording/lookups.py
    uses_scopes: tuple[str, ...] = ()  # scopes that it depends on
    compilers: tuple[str, ...] = ()  # of bytecode
    ran: tuple[tuple[str, int, str], ...] = ()  # code of differing files: file, first line, name
    names: frozenset[str] = frozenset()  # those wanted that the code mentions
    lookups: tuple[tuple[str, int], ...] = ()  # code that calls getattr or hasattr: file, first line
    digest: str = ""  # of the names of everything of the project that ran


@dataclass(frozen=True, slots=True)
class Recording:
    """What one side's process ran and read."""

    scopes: Mapping[str, RecordedScope]
    loaded: frozenset[str]  # the project's files whose code ran
    facts: Mapping[str, str]  # that must be equal on both sides


def write_request(
    path: Path, root: Path, diff: SideDiff, output: Path, test_files: Sequence[str] | None = None
) -> None:
    """Write what the recorder in a side's process needs to know.

    With `test_files`, that process collects these files only.
    """
    request = {
        "root": str(root),
        "names": sorted(diff.names),
        "one_sided": sorted(diff.one_sided),
        "wanted_names": sorted(diff.bound_names | ALL_NAMES),
        "test_files": None if test_files is None else sorted(test_files),
        "output": str(output),
    }
    path.write_text(json.dumps(request))


def read_recording(path: Path) -> Recording | None:
    """The recording of a process; None where it is not whole, or not one.

    Code of the gated project can write this file too, so it may hold anything.
    """
    try:
        data: Any = json.loads(read_file(path))
        return Recording(
            scopes={name: _scope(scope) for name, scope in data["scopes"].items()},
            loaded=_texts(data["loaded"]),
            facts={name: _text(fact) for name, fact in data["facts"].items()},
        )
    except (UsageError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r}, expected text")
    return value


def _texts(values: Any) -> frozenset[str]:
    return frozenset(map(_text, values))


def _scope(data: Mapping[str, Any]) -> RecordedScope:
    return RecordedScope(
        uses=tuple((_text(kind), _text(phrase)) for kind, phrase in data["uses"]),
        uses_scopes=tuple(map(_text, data["uses_scopes"])),
        compilers=tuple(map(_text, data["compilers"])),
        ran=tuple((_text(file), int(line), _text(name)) for file, line, name in data["ran"]),
        names=_texts(data["names"]),
        lookups=tuple((_text(file), int(line)) for file, line in data["lookups"]),
        digest=_text(data["digest"]),
    )
