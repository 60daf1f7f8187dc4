"""The differing files that a pair has loaded: what differs in them, and what their import uses of it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from perfsuite.gate.agent.recording.mentions import GLOBAL, IMPORTED, LOADED
from perfsuite.gate.same_code.recording import Recording
from perfsuite.gate.same_code.side_diff import SideDiff, is_init, may_be_module
from perfsuite.gate.same_code.source_diff import SourceChange, mentioned_names
from perfsuite.paths import resolves_inside

T = TypeVar("T")
OWN_NAME = re.compile(r"(?:id|arg|asname|Def\(name)='\w+'")  # in a syntax tree, of the module itself
STAR_IMPORT = re.compile(rb"\bfrom\b([.\w\s\\\x80-\xff]*?)\bimport[\s\\]*\*")


@dataclass(frozen=True)
class LoadedChanges:
    """What differs in the files that a side of a pair has loaded."""

    diff: SideDiff
    recordings: Mapping[str, Recording]  # by side
    roots: Mapping[str, Path]  # by side

    @cached_property
    def files(self) -> Sequence[str]:
        """The differing files that a side has loaded."""
        loaded = frozenset().union(*(recording.loaded for recording in self.recordings.values()))
        return sorted(loaded & self.diff.sources.keys())

    def where(self, read: Callable[[SourceChange], T]) -> dict[str, T]:
        """What `read` says of the change of each of these files, where it says anything."""
        return {file: found for file in self.files if (found := read(self.diff.sources[file]))}

    @cached_property
    def names(self) -> Mapping[str, frozenset[str]]:
        """By file: the names that differ."""
        return self.where(lambda change: change.names)

    @cached_property
    def files_by_name(self) -> Mapping[str, list[str]]:
        """The files in which each name differs."""
        files: dict[str, list[str]] = defaultdict(list)
        for file, names in self.names.items():
            for name in names:
                files[name].append(file)
        return files

    @cached_property
    def annotated_files(self) -> Sequence[str]:
        """The files whose annotations differ, or mention a name that does."""
        names = frozenset().union(*self.names.values())

        def differ(change: SourceChange) -> bool:
            mentioned = mentioned_names(change.annotation_text)
            return change.has_other_annotations or not names.isdisjoint(mentioned)

        return list(self.where(differ))

    def may_mean(self, file: str, name: str, how: str, place: str) -> bool:
        """Whether a mention of a name may mean one of this file that differs."""
        if how == LOADED:
            return False
        is_own = {GLOBAL: place == file, IMPORTED: self._may_be_module(file, place)}.get(how, True)
        return is_own or (name in self.diff.sources[file].starred_names and self.is_starred(file))

    def is_starred(self, file: str) -> bool:
        """Whether some module that was loaded imports all names of this one."""
        return any(self._may_be_module(file, module) for module in self._starred_modules)

    def _may_be_module(self, file: str, module: str) -> bool:
        names = [name for each in self.recordings.values() for name in each.modules.get(file, ())]
        return may_be_module(file, module, names)

    @cached_property
    def _starred_modules(self) -> frozenset[str]:
        """The modules, as written, of which all names are imported in a file that was loaded."""
        found: set[str] = set()
        for side, recording in self.recordings.items():
            root = self.roots[side]
            paths = [root / name for name in recording.loaded if resolves_inside(root / name, root)]
            texts = (path.read_bytes() for path in paths if path.is_file())
            written = (name for text in texts for name in STAR_IMPORT.findall(text))
            found |= {b"".join(name.replace(b"\\", b"").split()).decode(errors="replace") for name in written}
        return frozenset(found)

    @cached_property
    def uses_at_import(self) -> Mapping[str, str]:
        """By differing file: what its module uses at import of the names that differ in any module."""
        used = {file: min(self._names_at_import(file), default="") for file in self.files}
        return {file: f"{name}, which is used at import" for file, name in used.items() if name}

    def _names_at_import(self, file: str) -> Iterator[str]:
        """The names that differ, in any module, and that a module uses at import."""
        change = self.diff.sources[file]
        own = mentioned_names(change.import_text)
        # Another module's name is not meant by a variable, a parameter or a definition of this one.
        others = mentioned_names(OWN_NAME.sub("", f"{change.import_text} {change.binding_text}"))
        for other, names in self.names.items():
            starred = self.diff.sources[other].starred_names if self.is_starred(other) else frozenset()
            yield from names & others
            yield from (names if file == other else starred) & own
            for module, name in change.imported:
                if name in starred or (name in names and self._may_be_module(other, module)):
                    yield name

    def load_by(self, side: str, file: str) -> str:
        """A module that one side's version of a file imports, and that it may be the first to load."""
        loads = self.diff.sources[file].loads
        if not loads:
            return ""
        recording = self.recordings[side]
        names = recording.modules.get(file, ())
        starts = [recording.loads.index(name) for name in names if name in recording.loads]
        if not starts or len(starts) < len(names):
            return min(loads)
        later = frozenset(recording.loads[min(starts) :]) | recording.unseen_loads
        for written in sorted(loads):
            if any(_absolute(written, name, file) in later for name in names):
                return written
        return ""


def _absolute(module: str, importer: str, file: str) -> str:
    """The name of a module that `importer`, made from this file, imports as written.

    >>> _absolute("..crop", "toy.ops.blur", "toy/ops/blur.py")
    'toy.crop'
    """
    name = module.lstrip(".")
    level = len(module) - len(name)
    if not level:
        return name
    parts = importer.split(".")
    package = parts[: len(parts) - level + is_init(file)]
    return ".".join([*package, name] if name else package)
