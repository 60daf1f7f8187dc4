"""Find what a recorded process used of the differences between the sides.

The proof: the sides differ in some files. A process that ran none of the differing code, read none of the
differing files and looked up no name that differs does the same work on both sides. What a recording cannot
follow counts as a use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from perfsuite.gate.same_code import revealing_names
from perfsuite.gate.same_code.computed_lookups import MODULE_CODE, has_computed_lookup
from perfsuite.gate.same_code.loaded_changes import LoadedChanges
from perfsuite.gate.same_code.recording import COMMON, RecordedScope, Recording
from perfsuite.gate.same_code.side_diff import SideDiff
from perfsuite.paths import resolves_inside

NOT_RECORDED = "it was not recorded"


@dataclass(frozen=True, kw_only=True)
class PairEvidence:
    """The recordings of one pair, and the files that its processes ran."""

    diff: SideDiff
    recordings: Mapping[str, Recording]  # by side
    roots: Mapping[str, Path]  # by side
    base_names: Mapping[str, str] = field(default_factory=dict)  # head's names of tests to base's

    @cached_property
    def loaded(self) -> LoadedChanges:
        return LoadedChanges(self.diff, self.recordings, self.roots)

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
        yield from self._name_uses(scope)
        yield from self._listing_uses(scope)
        yield from self._lookup_uses(side, scope)
        yield from self._text_uses(scope)
        yield from self._function_uses(scope)

    def _code_uses(self, side: str, scope: RecordedScope) -> Iterator[str]:
        for file, line, name in scope.ran:
            change = self.diff.sources.get(file)
            if change is None:
                yield f"{file}: {name} ran, which only {side} has"
            elif difference := change.import_difference or self.loaded.uses_at_import.get(file, ""):
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
        if module := self.loaded.load_by(side, file):
            return f"the import of {module} may load what was not there"
        problems = recording.class_problems
        return next((problem for where, _, problem in problems if where == file), "")

    def _name_uses(self, scope: RecordedScope) -> Iterator[str]:
        """Uses of a name that differs, which need not run anything."""
        starring = self.loaded.where(lambda change: change.has_other_starred_names)
        if starred := next((file for file in starring if self.loaded.is_starred(file)), ""):
            yield f"all names of {starred} are imported somewhere, and differ"
        for name, how, place in scope.mentions:
            files = self.loaded.files_by_name.get(name, ())
            if any(self.loaded.may_mean(file, name, how, place) for file in files):
                yield f"{name}, which differs, is mentioned"

    def _listing_uses(self, scope: RecordedScope) -> Iterator[str]:
        """Uses of the names of a module as a list."""
        reordered = self.loaded.where(lambda change: change.has_other_order)
        listing = revealing_names.LISTING_NAMES & scope.names
        listing |= revealing_names.LISTING_BUILTINS & scope.variables
        if listing and (listed := [*self.loaded.names, *reordered]):
            yield f"{min(listing)} may show names of {listed[0]}, which differ"

    def _lookup_uses(self, side: str, scope: RecordedScope) -> Iterator[str]:
        """Lookups of names that are computed as the code runs."""
        for file, line, name in scope.lookups if self.loaded.names else ():
            path = self.roots[side] / file
            # A recording may be forged, and name any file.
            is_known = resolves_inside(path, self.roots[side]) and path.is_file()
            if not is_known or has_computed_lookup(path.read_bytes(), line, name):
                yield f"{file}:{line} may look up names of {next(iter(self.loaded.names))}, which differ"

    def _text_uses(self, scope: RecordedScope) -> Iterator[str]:
        """Uses of documentation and annotations."""
        documented = self.loaded.where(lambda change: change.has_other_documentation)
        if documented and (readers := revealing_names.DOCUMENTATION_NAMES & scope.names):
            yield f"{min(readers)} may read the documentation in {next(iter(documented))}, which differs"
        readers = revealing_names.ANNOTATION_NAMES & scope.names
        readers |= frozenset().union(*(recording.import_hooks for recording in self.recordings.values()))
        if readers and self.loaded.annotated_files:
            yield f"{min(readers)} may read annotations in {self.loaded.annotated_files[0]}, which differ"

    def _function_uses(self, scope: RecordedScope) -> Iterator[str]:
        """Uses of the code of functions that need not run here."""
        functions = self.loaded.where(lambda change: any(change.functions.values()))
        functions |= self.loaded.where(lambda change: change.has_other_order)
        if not functions:
            return
        first = f"functions in {next(iter(functions))}, which differ"
        if readers := revealing_names.CODE_NAMES & scope.names:
            yield f"{min(readers)} may read {first}"
        hidden = revealing_names.COMPILATION_NAMES & scope.names
        for compiler in scope.compilers:
            if compiler != "torch.compile" or hidden:
                yield f"{compiler} may use {first}"
