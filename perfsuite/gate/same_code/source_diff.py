"""Compare two versions of a module: what differs at import, and which functions differ."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from perfsuite.gate.same_code.source_parts import Function, SourceParts, split_source
from perfsuite.gate.side_process import SIDES


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceChange:
    """How base's and head's version of one module differ."""

    import_difference: str = ""  # what differs in the code that runs at import; empty where nothing does
    functions: Mapping[str, tuple[Function, ...]] = field(default_factory=dict)  # by side: those that differ
    names: frozenset[str] = frozenset()  # bound on one side only, to something else, or at another moment
    starred_names: frozenset[str] = frozenset()  # those of them that an import of all names may bind
    loads: frozenset[str] = frozenset()  # modules that only one side imports, as written
    classes: frozenset[str] = frozenset()  # with bases, whose methods or annotations differ
    has_other_order: bool = False  # of definitions
    has_other_exports: bool = False  # in `__all__`, if only in another order
    has_other_exported_names: bool = False
    has_other_documentation: bool = False
    has_other_annotations: bool = False
    import_text: str = ""  # what runs at import, as a syntax tree, where both sides agree on it
    imported: frozenset[tuple[str, str]] = frozenset()  # by both sides: modules as written, names from them

    @property
    def has_other_code(self) -> bool:
        return bool(
            self.import_difference
            or any(self.functions.values())
            or self.names
            or self.loads
            or self.has_other_order
            or self.has_other_exports
            or self.has_other_annotations
        )

    def changed_function_at(self, side: str, line: int) -> str:
        """The name of the changed function that holds this line of a side; empty where none does."""
        return next((each.name for each in self.functions.get(side, ()) if each.contains(line)), "")


def compare_sources(base: bytes, head: bytes) -> SourceChange:
    """Compare two versions of a module. What cannot be parsed differs at import.

    >>> change = compare_sources(b"def f(): return 1", b"def f(): return 2")
    >>> change.import_difference, change.changed_function_at("head", 1)
    ('', 'f')
    >>> compare_sources(b"X = 1", b"X = 2").import_difference
    'Assign'
    """
    try:
        parts = {"base": split_source(base), "head": split_source(head)}
    except (SyntaxError, ValueError, RecursionError) as error:
        return SourceChange(import_difference=f"cannot be parsed ({error})")
    loads = {side: {each.loads for each in parts[side].statements if each.loads} for side in SIDES}
    one_sided_loads = frozenset(loads["base"] ^ loads["head"])
    changed = _changed_bindings(parts["base"], parts["head"])
    moved = _moved_bindings(parts["base"], parts["head"], changed, one_sided_loads)
    annotated = _changed_annotations(parts["base"], parts["head"], changed)
    reordered = _reordered(parts["base"], parts["head"])
    names = _bound_names(parts, changed | moved)
    return SourceChange(
        import_difference=_import_difference(parts["base"], parts["head"], one_sided_loads),
        functions=_changed_functions(parts["base"], parts["head"], changed),
        names=names,
        starred_names=frozenset(
            name for name in names if any(each.may_pass_on(name) for each in parts.values())
        ),
        loads=one_sided_loads,
        classes=_inheriting_classes(parts, changed | moved | annotated | reordered),
        has_other_order=bool(reordered),
        has_other_exports=parts["base"].exports_text != parts["head"].exports_text,
        has_other_exported_names=parts["base"].exports != parts["head"].exports,
        has_other_documentation=parts["base"].documentation != parts["head"].documentation,
        has_other_annotations=bool(annotated),
        import_text=" ".join(each.text for each in parts["base"].statements),
        imported=_imported_names(parts["base"], changed),
    )


def _import_difference(base: SourceParts, head: SourceParts, one_sided_loads: frozenset[str]) -> str:
    texts, others = (
        [each.text for each in parts.statements if each.loads not in one_sided_loads]
        for parts in (base, head)
    )
    for one, other in zip(texts, others, strict=False):
        if one != other:
            return _summary(other)
    longer = max(texts, others, key=len)
    shorter = min(len(texts), len(others))
    return _summary(longer[shorter]) if len(longer) > shorter else ""


def _summary(statement: str) -> str:
    """The kind of a statement, or the name of a definition."""
    return re.split(r"[(:]", statement, maxsplit=1)[0]


def _changed_bindings(base: SourceParts, head: SourceParts) -> frozenset[str]:
    """By qualified name: those that only one side has, or that differ."""
    keys = base.bindings.keys() | head.bindings.keys()
    return frozenset(key for key in keys if base.bindings.get(key) != head.bindings.get(key))


def _moved_bindings(
    base: SourceParts, head: SourceParts, changed: frozenset[str], one_sided_loads: frozenset[str]
) -> frozenset[str]:
    """By qualified name: those that other statements come before."""

    def place(parts: SourceParts, key: str) -> int:
        before = parts.statements[: parts.bindings[key].position]
        return sum(each.loads not in one_sided_loads for each in before)

    common = (base.bindings.keys() & head.bindings.keys()) - changed
    return frozenset(key for key in common if place(base, key) != place(head, key))


def _reordered(base: SourceParts, head: SourceParts) -> frozenset[str]:
    """By qualified name: the definitions of both sides, in each scope where their order differs."""
    found: set[str] = set()
    for one, other in ((base.bindings, head.bindings), (base.functions, head.functions)):
        for scope in {key.rpartition(".")[0] for key in one}:
            keys = [[key for key in each if key.rpartition(".")[0] == scope] for each in (one, other)]
            common = set(keys[0]) & set(keys[1])
            if [key for key in keys[0] if key in common] != [key for key in keys[1] if key in common]:
                found |= common
    return frozenset(found)


def _changed_annotations(base: SourceParts, head: SourceParts, changed: frozenset[str]) -> frozenset[str]:
    """By qualified name; those of new definitions are reached through the definitions alone."""
    keys = base.annotations.keys() | head.annotations.keys()
    return frozenset(
        key
        for key in keys
        if base.annotations.get(key) != head.annotations.get(key)
        and not any(outer in changed for outer in _with_outer(key))
    )


def _changed_functions(
    base: SourceParts, head: SourceParts, changed: frozenset[str]
) -> dict[str, tuple[Function, ...]]:
    found: dict[str, list[Function]] = {side: [] for side in SIDES}
    for name in base.functions.keys() | head.functions.keys():
        versions = {"base": base.functions.get(name), "head": head.functions.get(name)}
        if name in changed or len({version.body if version else None for version in versions.values()}) > 1:
            for side, version in versions.items():
                found[side] += [version] if version else []
    return {side: tuple(functions) for side, functions in found.items()}


def _bound_names(parts: Mapping[str, SourceParts], changed: frozenset[str]) -> frozenset[str]:
    """The names of changed bindings; those of a new class's methods are reached through the class alone."""
    return frozenset(
        each.bindings[key].name
        for each in parts.values()
        for key in changed & each.bindings.keys()
        if key.rpartition(".")[0] not in changed
    )


def _inheriting_classes(parts: Mapping[str, SourceParts], changed: frozenset[str]) -> frozenset[str]:
    """The classes with bases that these definitions are in."""
    inheriting = parts["base"].inheriting | parts["head"].inheriting
    return frozenset(outer for key in changed for outer in _with_outer(key) if outer in inheriting)


def _with_outer(key: str) -> list[str]:
    """A qualified name and those of the classes that it is in.

    >>> _with_outer("A.B.f")
    ['A.B.f', 'A.B', 'A']
    """
    parts = key.removeprefix("import ").split(".")
    return [".".join(parts[:length]) for length in range(len(parts), 0, -1)]


def _imported_names(parts: SourceParts, changed: frozenset[str]) -> frozenset[tuple[str, str]]:
    """The module, as written, and the name of each unchanged import of a name."""
    found = set()
    for key in parts.bindings.keys() - changed:
        if key.startswith("import "):
            module, name = parts.bindings[key].text.split(":")
            # `import a.b as c` looks up `b` in `a`.
            package, _, last = name.rpartition(".")
            found.add((module, name) if module else (package, last))
    return frozenset(found)
