"""Find what a recorded process used of the differences between the sides.

The proof: the sides differ in some files. A process that ran none of the differing code, read none of the
differing files and looked up no name that differs does the same work on both sides. What a recording cannot
follow counts as a use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from perfsuite.gate.same_code import revealing_names
from perfsuite.gate.same_code.recording import COMMON, RecordedScope, Recording
from perfsuite.gate.same_code.side_diff import SideDiff
from perfsuite.gate.same_code.source_diff import has_computed_lookup
from perfsuite.paths import resolves_inside

T = TypeVar("T")
MODULE_CODE = "<module>"  # its first line may be that of a function
NOT_RECORDED = "it was not recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
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
            scopes = {side: self._scope(side, name) for side in self.recordings}
            if is_compared and None in scopes.values():
                return NOT_RECORDED
            present = {side: scope for side, scope in scopes.items() if scope is not None}
            for side, scope in present.items():
                if use := next(self._uses(side, scope), ""):
                    return use
            digests = {scope.digest for scope in present.values()}
            if is_compared and len(digests) > 1 and not self.diff.is_harmless:
                return "equal calls ran different functions"
        return ""

    def _scope(self, side: str, name: str) -> RecordedScope | None:
        own_name = self.base_names.get(name, name) if side == "base" else name
        return self.recordings[side].scopes.get(own_name)

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
            elif change.import_difference:
                yield f"{file} differs where it is imported: {change.import_difference}"
            elif name != MODULE_CODE and (function := change.changed_function_at(side, line)):
                yield f"{file}: {function} differs"

    def _name_uses(self, side: str, scope: RecordedScope) -> Iterator[str]:
        """Uses of a name that only one side has, which need not run anything."""
        names = self._loaded_changes(lambda file: self.diff.sources[file].names)
        if not names:
            return
        one_sided = frozenset().union(*names.values())
        if mentioned := sorted(one_sided & scope.names):
            yield f"{mentioned[0]}, which only one side defines, is mentioned"
        first = f"{sorted(one_sided)[0]}, which only one side defines"
        if listing := sorted(revealing_names.LISTING_NAMES & scope.names):
            yield f"{listing[0]} may show {first}"
        for file, line in scope.lookups:
            path = self.roots[side] / file
            # A recording may be forged, and name any file.
            is_known = resolves_inside(path, self.roots[side]) and path.is_file()
            if not is_known or has_computed_lookup(path.read_bytes(), line):
                yield f"{file}:{line} may look up {first}"

    def _text_uses(self, scope: RecordedScope) -> Iterator[str]:
        """Uses of documentation or of code that did not run."""
        documented = self._loaded_changes(lambda file: self.diff.sources[file].has_other_documentation)
        if documented and (readers := sorted(revealing_names.DOCUMENTATION_NAMES & scope.names)):
            yield f"{readers[0]} may read the documentation in {next(iter(documented))}, which differs"
        functions = self._loaded_changes(lambda file: any(self.diff.sources[file].functions.values()))
        if not functions:
            return
        first = f"functions in {next(iter(functions))}, which differ"
        if readers := sorted(revealing_names.CODE_NAMES & scope.names):
            yield f"{readers[0]} may read {first}"
        hidden = revealing_names.COMPILATION_NAMES & scope.names
        for compiler in scope.compilers:
            if compiler != "torch.compile" or hidden:
                yield f"{compiler} may use {first}"

    def _loaded_changes(self, read: Callable[[str], T]) -> dict[str, T]:
        """What `read` says of each differing file that a side has loaded, where it says anything."""
        loaded = frozenset().union(*(recording.loaded for recording in self.recordings.values()))
        return {file: found for file in sorted(loaded & self.diff.sources.keys()) if (found := read(file))}
