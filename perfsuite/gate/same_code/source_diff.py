"""Compare two versions of a module: what differs at import, and which functions differ."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from perfsuite.gate.agent.recording.mentions import NAME
from perfsuite.gate.same_code.source_parts import (
    EXPORTS,
    IMPORT,
    Binding,
    Function,
    SourceParts,
    Statement,
    split_source,
)
from perfsuite.gate.side_process import SIDES

# In a syntax tree as text: a name or a text that could be one, a text, and white space in a text.
QUOTED_NAME = re.compile(r"'([^\W\d]\w*)'")
TEXT = re.compile(r"""value=(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")""")
SPACE = re.compile(r"\s|\\[nrt]")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceChange:
    """How base's and head's version of one module differ."""

    import_difference: str = ""  # what differs in the code that runs at import; empty where nothing does
    functions: Mapping[str, tuple[Function, ...]] = field(default_factory=dict)  # by side: those that differ
    names: frozenset[str] = frozenset()  # bound on one side only, to something else, or at another moment
    starred_names: frozenset[str] = frozenset()  # those of them that an import of all names may bind
    loads: frozenset[str] = frozenset()  # modules imported on one side only or at another moment, as written
    classes: frozenset[str] = frozenset()  # whose methods or annotations differ
    has_other_order: bool = False  # of definitions
    has_other_starred_names: bool = False  # in `__all__`, or bound at another moment
    has_other_documentation: bool = False
    has_other_annotations: bool = False
    import_text: str = ""  # what runs at import, as a syntax tree, where both sides agree on it
    binding_text: str = ""  # definitions and constants on which both sides agree
    annotation_text: str = ""
    imported: frozenset[tuple[str, str]] = frozenset()  # by both sides: modules as written, names from them

    @property
    def has_other_code(self) -> bool:
        return bool(
            self.import_difference
            or any(self.functions.values())
            or self.names
            or self.loads
            or self.has_other_order
            or self.has_other_starred_names
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
        parts = (split_source(base), split_source(head))
    except (SyntaxError, ValueError, RecursionError) as error:
        return SourceChange(import_difference=f"cannot be parsed ({error})")
    changed_loads = _changed_loads(*parts)
    changed = _changed_bindings(*parts)
    moved = _moved_bindings(*parts, changed, changed_loads)
    names = _bound_names(parts, changed | moved)
    annotated = _changed_annotations(*parts, changed, names)
    reordered = _reordered(*parts)
    unchanged = {key: binding for key, binding in parts[0].bindings.items() if key not in changed}
    return SourceChange(
        import_difference=_import_difference(*parts, changed_loads),
        functions=_changed_functions(*parts, changed),
        names=names,
        starred_names=frozenset(name for name in names if any(each.may_pass_on(name) for each in parts)),
        loads=changed_loads,
        classes=_outer_classes(changed | moved | annotated | reordered, changed),
        has_other_order=bool(reordered),
        has_other_starred_names=parts[0].exports != parts[1].exports or EXPORTS in moved,
        has_other_documentation=parts[0].documentation != parts[1].documentation,
        has_other_annotations=bool(annotated),
        import_text=" ".join(each.text for each in parts[0].statements),
        binding_text=" ".join(each.text for key, each in unchanged.items() if not key.startswith(IMPORT)),
        annotation_text=" ".join(parts[0].annotations.values()),
        imported=_imported_names(unchanged),
    )


def _changed_loads(base: SourceParts, head: SourceParts) -> frozenset[str]:
    """The modules that one side imports, or all of them where their order differs."""
    loads = [{each.loads for each in side.statements if each.loads} for side in (base, head)]
    one_sided = frozenset(loads[0] ^ loads[1])
    return frozenset(loads[0] | loads[1]) if _import_difference(base, head, one_sided) else one_sided


def _import_difference(base: SourceParts, head: SourceParts, changed_loads: frozenset[str]) -> str:
    texts, others = (_statement_texts(parts.statements, changed_loads) for parts in (base, head))
    for one, other in zip(texts, others, strict=False):
        if one != other:
            return _summary(other)
    longer = max(texts, others, key=len)
    shorter = min(len(texts), len(others))
    return _summary(longer[shorter]) if len(longer) > shorter else ""


def _statement_texts(statements: Sequence[Statement], left_out: frozenset[str]) -> list[str]:
    """The statements, without those that load one of these modules."""
    return [each.text for each in statements if each.loads not in left_out]


def _summary(statement: str) -> str:
    """The kind of a statement, or the name of a definition."""
    return re.split(r"[(:]", statement, maxsplit=1)[0]


def _changed_bindings(base: SourceParts, head: SourceParts) -> frozenset[str]:
    """By qualified name: those that only one side has, or that differ."""
    keys = base.bindings.keys() | head.bindings.keys()
    return frozenset(key for key in keys if base.bindings.get(key) != head.bindings.get(key))


def _moved_bindings(
    base: SourceParts, head: SourceParts, changed: frozenset[str], changed_loads: frozenset[str]
) -> frozenset[str]:
    """By qualified name: those that other statements come before."""

    def place(parts: SourceParts, key: str) -> int:
        return len(_statement_texts(parts.statements[: parts.bindings[key].position], changed_loads))

    common = (base.bindings.keys() & head.bindings.keys()) - changed
    return frozenset(key for key in common if place(base, key) != place(head, key))


def _reordered(base: SourceParts, head: SourceParts) -> frozenset[str]:
    """By qualified name: the definitions of both sides, in each scope where their order differs."""
    found: set[str] = set()
    for one, other in ((base.bindings, head.bindings), (base.functions, head.functions)):
        common = one.keys() & other.keys()
        orders: list[dict[str, list[str]]] = [defaultdict(list), defaultdict(list)]
        for keys, order in zip((one, other), orders, strict=True):
            for key in keys:
                if key in common:
                    order[key.rpartition(".")[0]].append(key)
        found |= {key for scope, keys in orders[0].items() if keys != orders[1][scope] for key in keys}
    return frozenset(found)


def _changed_annotations(
    base: SourceParts, head: SourceParts, changed: frozenset[str], names: frozenset[str]
) -> frozenset[str]:
    """By qualified name: those that differ, or that mention a name that does.

    Those of new definitions are reached through the definitions alone.
    """
    keys = base.annotations.keys() | head.annotations.keys()
    return frozenset(
        key
        for key in keys
        if (
            base.annotations.get(key) != head.annotations.get(key)
            or not names.isdisjoint(mentioned_names(head.annotations[key]))
        )
        and not any(outer in changed for outer in _with_outer(key))
    )


def mentioned_names(tree: str) -> frozenset[str]:
    """The names that a syntax tree has as they are, or in texts that may be paths or formats.

    >>> sorted(mentioned_names("Call(Name(id='find'), Constant(value='toy.feature:run'))"))
    ['feature', 'find', 'run', 'toy']
    >>> sorted(mentioned_names("Constant(value='to run')"))
    []
    """
    names = set(QUOTED_NAME.findall(tree))
    for texts in TEXT.findall(tree):
        text = "".join(texts)
        if "{" in text or not SPACE.search(text):
            names |= set(NAME.findall(text))
    return frozenset(names)


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


def _bound_names(parts: Sequence[SourceParts], changed: frozenset[str]) -> frozenset[str]:
    """The names of changed bindings; those of a new class's methods are reached through the class alone."""
    return frozenset(
        each.bindings[key].name
        for each in parts
        for key in changed & each.bindings.keys()
        if key.rpartition(".")[0] not in changed
    )


def _outer_classes(keys: frozenset[str], changed: frozenset[str]) -> frozenset[str]:
    """The classes of both sides that these definitions are in."""
    return frozenset(outer for key in keys for outer in _with_outer(key)[1:] if outer not in changed)


def _with_outer(key: str) -> list[str]:
    """A qualified name and those of the classes that it is in.

    >>> _with_outer("A.B.f")
    ['A.B.f', 'A.B', 'A']
    """
    parts = key.split(".")
    return [".".join(parts[:length]) for length in range(len(parts), 0, -1)]


def _imported_names(bindings: Mapping[str, Binding]) -> frozenset[tuple[str, str]]:
    """The module, as written, and the name of each import of a name."""
    found = set()
    for key, binding in bindings.items():
        if key.startswith(IMPORT):
            module, name = binding.text.split(":")
            # `import a.b as c` looks up `b` in `a`.
            package, _, last = name.rpartition(".")
            found.add((module, name) if module else (package, last))
    return frozenset(found)
