"""Find what a recorded process used of the differences between the sides.

The proof: the sides differ in some files. A process that ran none of the differing code, read none of the
differing files and looked up no name that differs does the same work on both sides. What a recording cannot
follow counts as a use.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from perfsuite.gate.agent.recording.mentions import GLOBAL, IMPORTED, LOADED
from perfsuite.gate.same_code import revealing_names
from perfsuite.gate.same_code.computed_lookups import MODULE_CODE, has_computed_lookup
from perfsuite.gate.same_code.recording import COMMON, RecordedScope, Recording
from perfsuite.gate.same_code.side_diff import SideDiff, is_init, may_be_module
from perfsuite.gate.same_code.source_diff import SourceChange, mentioned_names
from perfsuite.paths import resolves_inside

T = TypeVar("T")
NOT_RECORDED = "it was not recorded"
OWN_NAME = re.compile(r"(?:id|arg|asname|Def\(name)='\w+'")  # in a syntax tree, of the module itself
STAR_IMPORT = re.compile(rb"\bfrom\b([.\w\s\\\x80-\xff]*?)\bimport[\s\\]*\*")


@dataclass(frozen=True, kw_only=True)
class PairEvidence:
    """The recordings of one pair, and the files that its processes ran."""

    diff: SideDiff
    recordings: Mapping[str, Recording]  # by side
    roots: Mapping[str, Path]  # by side
    base_names: Mapping[str, str] = field(default_factory=dict)  # head's names of tests to base's

    def common_use(self) -> str:
        """What the whole pair used of the differences; empty if nothing, and each test decides for itself."""
        if self.diff.problem:
            return self.diff.problem
        if set(self.recordings) != set(self.roots):
            return NOT_RECORDED
        facts = [recording.facts for recording in self.recordings.values()]
        for name in dict.fromkeys(name for each in facts for name in each):
            if len({each.get(name) for each in facts}) > 1:
                return f"{name} differs between the sides"
        return self._use_in([COMMON])

    def use_by(self, test: str) -> str:
        """What a test, its fixtures and its file used of the differences; empty if nothing."""
        return self._use_in([test])

    def all_uses(self) -> str:
        """The first use in the whole pair."""
        names = {name for recording in self.recordings.values() for name in recording.scopes}
        return self.common_use() or self._use_in(sorted(names), is_compared=False)

    def _use_in(self, names: Sequence[str], is_compared: bool = True) -> str:
        for name in names:
            scopes = {side: self._scope(side, name) for side in self.roots}
            if is_compared and None in scopes.values():
                return NOT_RECORDED
            present = {side: scope for side, scope in scopes.items() if scope is not None}
            for side, scope in present.items():
                if use := next(self._uses(side, scope), ""):
                    return use
            digests = {self._digests(side, scope) for side, scope in present.items()}
            if is_compared and len(digests) > 1 and not self.diff.is_harmless:
                return "equal calls ran different functions"
        return ""

    def _digests(self, side: str, scope: RecordedScope) -> tuple[str, ...]:
        """What ran in a scope and in those that it depends on."""
        shared = self.recordings[side].scopes
        return (scope.digest, *sorted(shared[name].digest for name in scope.uses_scopes if name in shared))

    def _scope(self, side: str, name: str) -> RecordedScope | None:
        own_name = self.base_names.get(name, name) if side == "base" else name
        return self.recordings[side].scopes.get(own_name) if side in self.recordings else None

    def _uses(self, side: str, scope: RecordedScope) -> Iterator[str]:
        """Uses in a scope and in those that it depends on."""
        yield from self._uses_in_scope(side, scope)
        for name in scope.uses_scopes:
            shared = self.recordings[side].scopes.get(name)
            if shared is not None:
                yield from self._uses_in_scope(side, shared)

    def _uses_in_scope(self, side: str, scope: RecordedScope) -> Iterator[str]:
        yield from (phrase for kind, phrase in scope.uses if kind == "file" or not self.diff.is_harmless)
        yield from self._code_uses(side, scope)
        yield from self._name_uses(side, scope)
        yield from self._text_uses(scope)

    def _code_uses(self, side: str, scope: RecordedScope) -> Iterator[str]:
        for file, line, name in scope.ran:
            change = self.diff.sources.get(file)
            if change is None:
                yield f"{file}: {name} ran, which only {side} has"
            elif difference := change.import_difference or self._uses_at_import.get(file, ""):
                yield f"{file} differs where it is imported: {difference}"
            elif name != MODULE_CODE and (function := change.changed_function_at(side, line)):
                yield f"{file}: {function} differs"
        for file in sorted({file for file, _, _ in scope.ran} & self.diff.sources.keys()):
            if problem := self._module_problem(side, file):
                yield f"{file}: {problem}"

    def _module_problem(self, side: str, file: str) -> str:
        """What may see more of a module that ran than the names and functions that are used."""
        recording, change = self.recordings[side], self.diff.sources[file]
        if change.has_other_code and file not in recording.modules:
            return "its module differs, and is not there in the end"
        if loaded := self._loaded_by(side, file, change):
            return f"the import of {loaded} may load what was not there"
        problems = recording.class_problems
        return next((problem for where, _, problem in problems if where == file), "")

    @cached_property
    def _uses_at_import(self) -> Mapping[str, str]:
        """By differing file: what its module uses at import of the names that differ in any module."""
        used = {file: min(self._names_at_import(file), default="") for file in self._loaded_files}
        return {file: f"{name}, which is used at import" for file, name in used.items() if name}

    def _names_at_import(self, file: str) -> Iterator[str]:
        """The names that differ, in any module, and that a module uses at import."""
        change = self.diff.sources[file]
        own = mentioned_names(change.import_text)
        # Another module's name is not meant by a variable, a parameter or a definition of this one.
        others = mentioned_names(OWN_NAME.sub("", f"{change.import_text} {change.binding_text}"))
        for other, names in self._changed_names.items():
            starred = self.diff.sources[other].starred_names if self._is_starred(other) else frozenset()
            yield from names & others
            yield from (names if file == other else starred) & own
            for module, name in change.imported:
                if name in starred or (name in names and self._may_be_module(other, module)):
                    yield name

    def _loaded_by(self, side: str, file: str, change: SourceChange) -> str:
        """A module that one side's version of a file imports, and that it may be the first to load."""
        if not change.loads:
            return ""
        recording = self.recordings[side]
        names = recording.modules.get(file, ())
        starts = [recording.loads.index(name) for name in names if name in recording.loads]
        if not starts or len(starts) < len(names):
            return min(change.loads)
        later = frozenset(recording.loads[min(starts) :]) | recording.unseen_loads
        for written in sorted(change.loads):
            if any(_absolute(written, name, file) in later for name in names):
                return written
        return ""

    def _name_uses(self, side: str, scope: RecordedScope) -> Iterator[str]:
        """Uses of a name that differs, which need not run anything."""
        starring = self._loaded_changes(lambda file: self.diff.sources[file].has_other_starred_names)
        if starred := next((file for file in starring if self._is_starred(file)), ""):
            yield f"all names of {starred} are imported somewhere, and differ"
        for name, how, where in scope.mentions:
            if any(self._may_mean(file, name, how, where) for file in self._files_by_name.get(name, ())):
                yield f"{name}, which differs, is mentioned"
        reordered = self._loaded_changes(lambda file: self.diff.sources[file].has_other_order)
        listing = revealing_names.LISTING_NAMES & scope.names
        listing |= revealing_names.LISTING_BUILTINS & scope.variables
        if listing and (listed := [*self._changed_names, *reordered]):
            yield f"{min(listing)} may show names of {listed[0]}, which differ"
        for file, line, name in scope.lookups if self._changed_names else ():
            path = self.roots[side] / file
            # A recording may be forged, and name any file.
            is_known = resolves_inside(path, self.roots[side]) and path.is_file()
            if not is_known or has_computed_lookup(path.read_bytes(), line, name):
                yield f"{file}:{line} may look up names of {next(iter(self._changed_names))}, which differ"

    @cached_property
    def _changed_names(self) -> Mapping[str, frozenset[str]]:
        """By differing file that was loaded: the names that differ."""
        return self._loaded_changes(lambda file: self.diff.sources[file].names)

    @cached_property
    def _files_by_name(self) -> Mapping[str, list[str]]:
        """The files in which each name differs."""
        files: dict[str, list[str]] = defaultdict(list)
        for file, names in self._changed_names.items():
            for name in names:
                files[name].append(file)
        return files

    def _may_mean(self, file: str, name: str, how: str, where: str) -> bool:
        """Whether a mention of a name may mean one of this file that differs."""
        if how == LOADED:
            return False
        is_own = {GLOBAL: where == file, IMPORTED: self._may_be_module(file, where)}.get(how, True)
        return is_own or (name in self.diff.sources[file].starred_names and self._is_starred(file))

    def _is_starred(self, file: str) -> bool:
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

    def _text_uses(self, scope: RecordedScope) -> Iterator[str]:
        """Uses of documentation or of code that did not run."""
        documented = self._loaded_changes(lambda file: self.diff.sources[file].has_other_documentation)
        if documented and (readers := revealing_names.DOCUMENTATION_NAMES & scope.names):
            yield f"{min(readers)} may read the documentation in {next(iter(documented))}, which differs"
        readers = revealing_names.ANNOTATION_NAMES & scope.names
        readers |= frozenset().union(*(recording.import_hooks for recording in self.recordings.values()))
        if readers and self._annotated_files:
            yield f"{min(readers)} may read annotations in {self._annotated_files[0]}, which differ"
        functions = self._loaded_changes(lambda file: any(self.diff.sources[file].functions.values()))
        functions |= self._loaded_changes(lambda file: self.diff.sources[file].has_other_order)
        if not functions:
            return
        first = f"functions in {next(iter(functions))}, which differ"
        if readers := revealing_names.CODE_NAMES & scope.names:
            yield f"{min(readers)} may read {first}"
        hidden = revealing_names.COMPILATION_NAMES & scope.names
        for compiler in scope.compilers:
            if compiler != "torch.compile" or hidden:
                yield f"{compiler} may use {first}"

    @cached_property
    def _annotated_files(self) -> Sequence[str]:
        """The files whose annotations differ, or mention a name that does."""
        names = frozenset().union(*self._changed_names.values())
        return [
            file
            for file, change in self._loaded_changes(lambda file: self.diff.sources[file]).items()
            if change.has_other_annotations or not names.isdisjoint(mentioned_names(change.annotation_text))
        ]

    def _loaded_changes(self, read: Callable[[str], T]) -> dict[str, T]:
        """What `read` says of each differing file that a side has loaded, where it says anything."""
        return {file: found for file in self._loaded_files if (found := read(file))}

    @cached_property
    def _loaded_files(self) -> Sequence[str]:
        """The differing files that a side has loaded."""
        loaded = frozenset().union(*(recording.loaded for recording in self.recordings.values()))
        return sorted(loaded & self.diff.sources.keys())


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
    is_package = is_init(file)
    package = parts[: len(parts) - level + is_package]
    return ".".join([*package, name] if name else package)
