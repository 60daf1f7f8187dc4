"""Split a module's source into what runs at import, and the functions that may never run.

Comments, formatting and documentation strings are in neither part.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

# Decorators that do nothing but wrap. Any other may run code, register the function or read its text.
PLAIN_DECORATORS = frozenset({"staticmethod", "classmethod", "property"})
# What an annotation without effects consists of.
PLAIN_ANNOTATION = (
    ast.Name,
    ast.Attribute,
    ast.Subscript,
    ast.Constant,
    ast.Tuple,
    ast.List,
    ast.BinOp,
    ast.BitOr,
    ast.Load,
)
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Function:
    """One outermost function or method: its body, and its lines with those of its decorators."""

    name: str
    body: str
    first_line: int
    last_line: int

    def contains(self, line: int) -> bool:
        return self.first_line <= line <= self.last_line


@dataclass(frozen=True, slots=True)
class Binding:
    """What only binds a name, so that its place among others does not matter.

    A definition, an import, or a private constant.
    """

    name: str  # that it binds
    text: str  # without a function's body
    first_line: int
    last_line: int


@dataclass(slots=True)
class SourceParts:
    """The parts of one module, by qualified name."""

    statements: list[str] = field(default_factory=list)  # what runs at import, in this order
    bindings: dict[str, Binding] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    documentation: list[str] = field(default_factory=list)


def split_source(source: bytes) -> SourceParts:
    """The parts of a module; SyntaxError or ValueError where this Python cannot parse it.

    >>> parts = split_source(b"import os\\nX = 1\\ndef f(a=2): return a")
    >>> parts.statements, list(parts.bindings), list(parts.functions)
    (["Assign(targets=[Name(id='X', ctx=Store())], value=Constant(value=1))"], ['import os', 'f'], ['f'])
    """
    tree = ast.parse(source)
    splitter = _Splitter()
    splitter.split_scope(tree.body, "", is_plain=True)
    return splitter.parts


class _Splitter:
    def __init__(self) -> None:
        self.parts = SourceParts()
        self._numbers: Counter[str] = Counter()  # definitions by qualified name

    def split_scope(self, body: Sequence[ast.stmt], prefix: str, is_plain: bool) -> None:
        """Split the body of a module or a class; in a plain one the order of definitions has no effect."""
        bound = Counter(_bound_names(body))
        standard_names = _standard_names(body, bound)
        for statement in body:
            if _is_documentation(statement):
                self.parts.documentation.append(ast.dump(statement))
            elif isinstance(statement, FunctionNode):
                is_binding = is_plain and bound[statement.name] == 1 and _is_plain_function(statement)
                self._add_function(statement, prefix, is_binding)
            elif isinstance(statement, ast.ClassDef):
                self._add_class(statement, prefix, is_plain and bound[statement.name] == 1)
            elif (
                isinstance(statement, ast.Import | ast.ImportFrom)
                and not prefix
                and _is_standard_import(statement)
                and all(bound[_imported_name(statement, alias)] == 1 for alias in statement.names)
            ):
                self._add_import(statement)
            elif (
                not prefix
                and (constant := _private_constant(statement, standard_names))
                and bound[constant.name] == 1
                and "*" not in bound
            ):
                self.parts.bindings[constant.name] = constant
            else:
                self.parts.statements.append(ast.dump(self._without_functions(statement, prefix)))

    def _add_function(self, node: FunctionNode, prefix: str, is_binding: bool) -> None:
        text = _dump_header(node)
        key = self._record_function(node, prefix)
        if is_binding:
            self.parts.bindings[key] = Binding(node.name, text, _first_line(node), _last_line(node))
        else:
            self.parts.statements.append(f"{key}: {text}")

    def _record_function(self, node: FunctionNode, prefix: str) -> str:
        key = self._next_key(prefix + node.name)
        body = "\n".join(map(ast.dump, _without_documentation(node, self.parts.documentation)))
        self.parts.functions[key] = Function(key, body, _first_line(node), _last_line(node))
        return key

    def _add_class(self, node: ast.ClassDef, prefix: str, may_bind: bool) -> None:
        key = self._next_key(prefix + node.name)
        text = _dump_header(node)
        if may_bind and _is_plain_class(node):
            self.parts.bindings[key] = Binding(node.name, text, _first_line(node), _last_line(node))
            self.split_scope(node.body, f"{key}.", is_plain=True)
            return
        self.parts.statements.append(f"{key}: {text}")
        is_plain = not (node.bases or node.keywords or node.decorator_list)
        self.split_scope(node.body, f"{key}.", is_plain)
        self.parts.statements.append(f"end of {key}")

    def _add_import(self, statement: ast.Import | ast.ImportFrom) -> None:
        for alias in statement.names:
            name = _imported_name(statement, alias)
            origin = statement.module if isinstance(statement, ast.ImportFrom) else ""
            self.parts.bindings[f"import {name}"] = Binding(
                name, f"{origin}:{alias.name}", statement.lineno, _last_line(statement)
            )

    def _without_functions(self, statement: ast.stmt, prefix: str) -> ast.AST:
        """A statement in which each function inside an `if`, a `try` or a loop has lost its body."""
        splitter = self

        class Replacement(ast.NodeTransformer):
            def _replace(self, node: FunctionNode) -> ast.AST:
                header = _dump_header(node)
                splitter._record_function(node, prefix)
                return ast.Constant(header)

            visit_FunctionDef = visit_AsyncFunctionDef = _replace  # noqa: N815 - ast's names

        replaced: ast.AST = Replacement().visit(statement)
        return replaced

    def _next_key(self, name: str) -> str:
        self._numbers[name] += 1
        number = self._numbers[name]
        return name if number == 1 else f"{name} ({number})"


def _is_documentation(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _without_documentation(node: FunctionNode, documentation: list[str]) -> list[ast.stmt]:
    """The body of a function without the documentation strings in it."""
    for inner in ast.walk(node):
        body = getattr(inner, "body", None)
        if isinstance(body, list):
            documentation += [ast.dump(statement) for statement in body if _is_documentation(statement)]
            inner.body = [statement for statement in body if not _is_documentation(statement)]  # type: ignore[attr-defined]
    return node.body


def _dump_header(node: FunctionNode | ast.ClassDef) -> str:
    """A definition without its body. Its documentation is kept where a decorator may read it."""
    body, documentation = node.body, ast.get_docstring(node, clean=False)
    node.body = []
    text = ast.dump(node)
    node.body = body
    return text if _has_plain_decorators(node) else f"{text} {documentation!r}"


def _has_plain_decorators(node: FunctionNode | ast.ClassDef) -> bool:
    return all(isinstance(each, ast.Name) and each.id in PLAIN_DECORATORS for each in node.decorator_list)


def _is_plain_function(node: FunctionNode) -> bool:
    """Whether defining this function has no effect but to bind its name."""
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [each for each in (arguments.vararg, arguments.kwarg) if each]
    annotations = [each.annotation for each in every if each.annotation]
    annotations += [node.returns] if node.returns else []
    defaults = [*arguments.defaults, *(each for each in arguments.kw_defaults if each)]
    is_special = node.name.startswith(("__", "pytest_"))
    return (
        not is_special
        and _has_plain_decorators(node)
        and all(_is_constant(each) for each in defaults)
        and all(isinstance(part, PLAIN_ANNOTATION) for each in annotations for part in ast.walk(each))
    )


def _is_constant(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        return _is_constant(node.operand)
    return isinstance(node, ast.Constant) or (
        isinstance(node, ast.Tuple) and all(_is_constant(each) for each in node.elts)
    )


def _standard_names(body: Iterable[ast.stmt], bound: Counter[str]) -> frozenset[str]:
    """Which of `re` and `frozenset` mean in a module what they mean in Python."""
    imports_re = any(
        isinstance(statement, ast.Import)
        and any(alias.name == "re" and alias.asname is None for alias in statement.names)
        for statement in body
    )
    return frozenset({"re"} if imports_re and bound["re"] == 1 else ()) | ({"frozenset"} - bound.keys())


def _private_constant(statement: ast.stmt, standard_names: frozenset[str]) -> Binding | None:
    """The binding of a private name to a plain value; None where a statement is anything else.

    A public one may be read by a framework that looks through a module, as for settings.
    """
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            pass
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value, annotation=annotation):
            if not all(isinstance(part, PLAIN_ANNOTATION) for part in ast.walk(annotation)):
                return None
        case _:
            return None
    is_private = name.startswith("_") and not name.startswith("__") and name != "_"
    if not is_private or not _is_plain_value(value, standard_names):
        return None
    return Binding(name, ast.dump(value), statement.lineno, _last_line(statement))


def _is_plain_value(node: ast.expr | None, standard_names: frozenset[str]) -> bool:
    """Whether a value is made of constants, by the language itself or by `re`."""
    match node:
        case ast.Constant():
            return True
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            return all(_is_plain_value(part, standard_names) for part in parts)
        case ast.Dict(keys=keys, values=values):
            return all(_is_plain_value(part, standard_names) for part in (*keys, *values))
        case ast.UnaryOp(operand=operand):
            return _is_plain_value(operand, standard_names)
        case ast.BinOp(left=left, right=right):
            return _is_plain_value(left, standard_names) and _is_plain_value(right, standard_names)
        case ast.Attribute(value=ast.Name(id="re"), attr=flag):
            return "re" in standard_names and flag.isupper()
        case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr="compile"), args=parts, keywords=[]):
            return "re" in standard_names and all(_is_plain_value(part, standard_names) for part in parts)
        case ast.Call(func=ast.Name(id="frozenset"), args=parts, keywords=[]):
            return "frozenset" in standard_names and all(
                _is_plain_value(part, standard_names) for part in parts
            )
    return False


def _is_plain_class(node: ast.ClassDef) -> bool:
    """Whether defining this class has no effect but to bind its name, whatever its methods do."""
    if node.bases or node.keywords or node.decorator_list:
        return False
    names = Counter(_bound_names(node.body))
    return all(
        _is_documentation(statement)
        or isinstance(statement, ast.Pass)
        or (
            isinstance(statement, FunctionNode)
            and names[statement.name] == 1
            and _is_plain_function(statement)
        )
        for statement in node.body
    )


def _is_standard_import(statement: ast.Import | ast.ImportFrom) -> bool:
    """Whether it imports from the standard library only, which has no effect on other modules."""
    names = [alias.name for alias in statement.names]
    modules = names if isinstance(statement, ast.Import) else [statement.module or ""]
    is_relative = isinstance(statement, ast.ImportFrom) and statement.level > 0
    return (
        not is_relative
        and "*" not in names
        and all(module.split(".")[0] in sys.stdlib_module_names - {"__future__"} for module in modules)
    )


def _imported_name(statement: ast.Import | ast.ImportFrom, alias: ast.alias) -> str:
    if alias.asname or isinstance(statement, ast.ImportFrom):
        return alias.asname or alias.name
    return alias.name.split(".")[0]


def _bound_names(body: Iterable[ast.stmt]) -> Iterator[str]:
    """Names that a scope binds, once for each time; those bound inside its functions are not among them."""
    for statement in body:
        if isinstance(statement, FunctionNode | ast.ClassDef):
            yield statement.name
            continue
        for node in ast.walk(statement):
            if isinstance(node, FunctionNode | ast.ClassDef):
                yield node.name
            elif isinstance(node, ast.Import | ast.ImportFrom):
                yield from (_imported_name(node, alias) for alias in node.names)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
                yield node.id


def _first_line(node: FunctionNode | ast.ClassDef) -> int:
    return min([node.lineno, *(each.lineno for each in node.decorator_list)])


def _last_line(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno
