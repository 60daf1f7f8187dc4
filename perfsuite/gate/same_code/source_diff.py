"""Compare two versions of a module: what differs at import, and which functions differ."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from perfsuite.gate.same_code.source_parts import Function, SourceParts, split_source
from perfsuite.gate.side_process import SIDES

LOOKUPS = frozenset({"getattr", "hasattr"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceChange:
    """How base's and head's version of one module differ."""

    import_difference: str = ""  # what differs in the code that runs at import; empty where nothing does
    functions: Mapping[str, tuple[Function, ...]] = field(default_factory=dict)  # by side: those that differ
    names: frozenset[str] = frozenset()  # that only one side binds
    has_other_documentation: bool = False
    import_text: str = ""  # what runs at import, as a syntax tree, where both sides agree on it

    def changed_function_at(self, side: str, line: int) -> str:
        """The name of the changed function that holds this line of a side; empty where none does."""
        return next((each.name for each in self.functions.get(side, ()) if each.contains(line)), "")


def compare_sources(base: bytes, head: bytes) -> SourceChange:
    """Compare two versions of a module.

    >>> change = compare_sources(b"def f(): return 1", b"def f(): return 2  # faster")
    >>> change.import_difference, change.changed_function_at("head", 1)
    ('', 'f')
    >>> compare_sources(b"X = 1", b"X = 2").import_difference
    'Assign'
    """
    try:
        parts = {"base": split_source(base), "head": split_source(head)}
    except (SyntaxError, ValueError, RecursionError) as error:
        return SourceChange(import_difference=f"cannot be parsed ({error})")
    return SourceChange(
        import_difference=_import_difference(parts["base"], parts["head"]),
        import_text=" ".join(parts["base"].statements),
        functions=_changed_functions(parts["base"], parts["head"]),
        names=_one_sided_names(parts["base"], parts["head"]),
        has_other_documentation=parts["base"].documentation != parts["head"].documentation,
    )


def _import_difference(base: SourceParts, head: SourceParts) -> str:
    for one, other in zip(base.statements, head.statements, strict=False):
        if one != other:
            return _summary(other)
    longer = max(base.statements, head.statements, key=len)
    shorter = min(len(base.statements), len(head.statements))
    if len(longer) > shorter:
        return _summary(longer[shorter])
    for name in base.bindings.keys() & head.bindings.keys():
        if base.bindings[name].text != head.bindings[name].text:
            return f"the definition of {name}"
    return ""


def _summary(statement: str) -> str:
    """The kind of a statement, or the name of a definition."""
    return re.split(r"[(:]", statement, maxsplit=1)[0]


def _changed_functions(base: SourceParts, head: SourceParts) -> dict[str, tuple[Function, ...]]:
    changed: dict[str, list[Function]] = {side: [] for side in SIDES}
    for name in base.functions.keys() | head.functions.keys():
        versions = {"base": base.functions.get(name), "head": head.functions.get(name)}
        if len({version.body if version else None for version in versions.values()}) > 1:
            for side, version in versions.items():
                changed[side] += [version] if version else []
    return {side: tuple(functions) for side, functions in changed.items()}


def _one_sided_names(base: SourceParts, head: SourceParts) -> frozenset[str]:
    """Names that only one side binds; those of a new class's methods are reached through the class alone."""
    one_sided = {key: base.bindings[key] for key in base.bindings.keys() - head.bindings.keys()}
    one_sided |= {key: head.bindings[key] for key in head.bindings.keys() - base.bindings.keys()}
    return frozenset(
        binding.name for key, binding in one_sided.items() if key.rpartition(".")[0] not in one_sided
    )


def has_computed_lookup(source: bytes, first_line: int) -> bool:
    """Whether the function that starts at this line looks up an attribute whose name it computes.

    >>> has_computed_lookup(b"def f(o, n):\\n    return hasattr(o, n)", 1)
    True
    >>> has_computed_lookup(b"def f(o):\\n    return hasattr(o, 'n')", 1)
    False
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return True
    found = [node for node in ast.walk(tree) if _starts_at(node, first_line)]
    return any(_is_computed_lookup(node) for scope in found or [tree] for node in ast.walk(scope))


def _starts_at(node: ast.AST, line: int) -> bool:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return False
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return line == min([node.lineno, *(each.lineno for each in decorators)])


def _is_computed_lookup(node: ast.AST) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in LOOKUPS:
        return len(node.args) < 2 or not isinstance(node.args[1], ast.Constant)
    return isinstance(node, ast.Call) and any(
        isinstance(each, ast.Name) and each.id in LOOKUPS for each in node.args
    )
