"""Ask a side's process for a recording, and read what it wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perfsuite.errors import UsageError
from perfsuite.gate.agent.recording.mentions import ANYHOW
from perfsuite.gate.project_layout import read_file
from perfsuite.gate.same_code.computed_lookups import FORMATS, NAME_ARGUMENTS
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
    mentions: tuple[tuple[str, str, str], ...] = ()  # of wanted names: agent/recording/mentions.py
    lookups: tuple[tuple[str, int, str], ...] = ()  # code that looks up attributes: file, first line, name
    digest: str = ""  # of the names of everything of the project that ran

    @property
    def names(self) -> frozenset[str]:
        """The wanted names that the code mentions in any way."""
        return frozenset(name for name, _, _ in self.mentions)

    @property
    def variables(self) -> frozenset[str]:
        """Those that it mentions as variables of a module, or imports."""
        return frozenset(name for name, how, _ in self.mentions if how != ANYHOW)


@dataclass(frozen=True, slots=True)
class Recording:
    """What one side's process ran and read."""

    scopes: Mapping[str, RecordedScope]
    loaded: frozenset[str]  # the project's files whose code ran
    facts: Mapping[str, str]  # that must be equal on both sides
    loads: tuple[str, ...] = ()  # modules in the order in which they were loaded, those asked for
    unseen_loads: frozenset[str] = frozenset()  # those of which it is not known when
    modules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by differing file
    import_hooks: frozenset[str] = frozenset()  # packages that change modules while they are loaded
    class_problems: tuple[tuple[str, str, str], ...] = ()  # the file, the class and the problem


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
        "bound_names": sorted(diff.bound_names),
        "revealing_names": sorted(ALL_NAMES),
        "lookup_names": sorted(NAME_ARGUMENTS.keys() | FORMATS),
        "loads": sorted(diff.watched_loads),
        "classes": {name: sorted(change.classes) for name, change in diff.sources.items()},
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
            loads=tuple(map(_text, data["loads"])),
            unseen_loads=_texts(data["unseen_loads"]),
            modules={name: tuple(map(_text, modules)) for name, modules in data["modules"].items()},
            import_hooks=_texts(data["import_hooks"]),
            class_problems=tuple(map(_three_texts, data["class_problems"])),
        )
    except (UsageError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r}, expected text")
    return value


def _texts(values: Any) -> frozenset[str]:
    return frozenset(map(_text, values))


def _three_texts(values: Any) -> tuple[str, str, str]:
    first, second, third = map(_text, values)
    return first, second, third


def _scope(data: Mapping[str, Any]) -> RecordedScope:
    return RecordedScope(
        uses=tuple((_text(kind), _text(phrase)) for kind, phrase in data["uses"]),
        uses_scopes=tuple(map(_text, data["uses_scopes"])),
        compilers=tuple(map(_text, data["compilers"])),
        ran=tuple((_text(file), int(line), _text(name)) for file, line, name in data["ran"]),
        mentions=tuple(map(_three_texts, data["mentions"])),
        lookups=tuple((_text(file), int(line), _text(name)) for file, line, name in data["lookups"]),
        digest=_text(data["digest"]),
    )
