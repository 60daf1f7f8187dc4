"""Whether code may look up an attribute whose name it computes."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import lru_cache

from perfsuite.gate.same_code.plain_code import FunctionNode

MODULE_CODE = "<module>"
# Functions that look up attributes, and which of their arguments are the names.
NAME_ARGUMENTS = {
    **dict.fromkeys(("getattr", "hasattr", "getattr_static"), slice(1, 2)),
    "__getattribute__": slice(-1, None),
    "attrgetter": slice(None),
    "methodcaller": slice(1),
}
FORMATS = frozenset({"format", "format_map"})  # methods of a text, which may hold paths of attributes


def has_computed_lookup(source: bytes, first_line: int, name: str) -> bool:
    """Whether the code of this name that starts at this line may look up an attribute by a computed name.

    >>> has_computed_lookup(b"def f(o, n):\\n    return hasattr(o, n)", 1, "f")
    True
    >>> has_computed_lookup(b"def f(o):\\n    return hasattr(o, 'n')", 1, "f")
    False
    """
    tree = _parse(source)
    if tree is None:
        return True
    if name == MODULE_CODE:
        return _looks_up([part for statement in tree.body for part in _run_at_import(statement)])
    found = [node for node in ast.walk(tree) if _is_named(node, first_line, name)]
    return _looks_up(found or [tree])


@lru_cache
def _parse(source: bytes) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None


def _run_at_import(statement: ast.stmt) -> list[ast.AST]:
    """What runs of a statement while its module is imported."""
    if isinstance(statement, FunctionNode):
        return [*statement.decorator_list, statement.args]
    if isinstance(statement, ast.ClassDef):
        inner = [part for each in statement.body for part in _run_at_import(each)]
        return [*statement.decorator_list, *statement.bases, *statement.keywords, *inner]
    return [statement]


def _is_named(node: ast.AST, line: int, name: str) -> bool:
    if isinstance(node, ast.Lambda):
        return name == "<lambda>" and line == node.lineno
    if not isinstance(node, FunctionNode) or name != node.name:
        return False
    return line == min([node.lineno, *(each.lineno for each in node.decorator_list)])


def _looks_up(parts: Sequence[ast.AST]) -> bool:
    """Whether a function that looks up attributes is used in another way than called with a text."""
    plain: set[int] = set()
    nodes = [node for part in parts for node in ast.walk(part)]
    for node in nodes:
        if isinstance(node, ast.Call):
            names = node.args[NAME_ARGUMENTS.get(_function_name(node.func), slice(0))]
            is_starred = any(isinstance(each, ast.Starred) for each in node.args)
            if names and not is_starred and all(map(_is_text, names)):
                plain.add(id(node.func))
        if isinstance(node, ast.Attribute) and node.attr in FORMATS and _is_text(node.value):
            plain.add(id(node))
    return any(
        (_function_name(node) in NAME_ARGUMENTS.keys() | FORMATS and id(node) not in plain)
        or (isinstance(node, ast.alias) and node.asname and node.name in NAME_ARGUMENTS)
        for node in nodes
    )


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _function_name(node: ast.AST) -> str:
    """The name of a function that is named as a variable or an attribute; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""
