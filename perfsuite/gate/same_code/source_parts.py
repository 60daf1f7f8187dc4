"""Split a module's source into what runs at import, and the functions that may never run.

Comments, formatting, documentation strings and annotations are in neither part.
"""

from __future__ import annotations

import ast
import builtins
import copy
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from perfsuite.gate.same_code.plain_code import (
    MARKERS,
    PLAIN_DECORATORS,
    Definition,
    FunctionNode,
    bound_names,
    has_decorators_of,
    has_plain_annotations,
    imported_name,
    is_bare_annotation,
    is_documentation,
    is_empty,
    is_plain_annotation,
    is_plain_class,
    is_plain_function,
    is_plain_value,
    never_runs,
    read_names,
    standard_names,
)

EXPORTS = "__all__"
IMPORT = "import "  # before the name that an import binds


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
    position: int = field(default=0, compare=False)  # how many statements are before it


@dataclass(frozen=True, slots=True)
class Statement:
    """What runs at import, as a syntax tree."""

    text: str
    loads: str = ""  # the module that it does nothing but load, as written: `.crop` is beside this one


@dataclass(slots=True)
class SourceParts:
    """The parts of one module, by qualified name."""

    statements: list[Statement] = field(default_factory=list)  # in this order
    bindings: dict[str, Binding] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    documentation: dict[str, str] = field(default_factory=dict)  # by where it is
    annotations: dict[str, str] = field(default_factory=dict)  # of functions and names
    exports: frozenset[str] | None = None  # the names in `__all__`, where it is a plain list

    def may_pass_on(self, name: str) -> bool:
        """Whether an import of all names of this module may bind this one."""
        if self.exports is not None:
            return name in self.exports
        return not name.startswith("_") or any(f"'{EXPORTS}'" in each.text for each in self.statements)


def split_source(source: bytes) -> SourceParts:
    """The parts of a module; SyntaxError or ValueError where this Python cannot parse it.

    >>> parts = split_source(b"import os\\nX = 1\\ndef f(a=2): return a")
    >>> [each.text for each in parts.statements], list(parts.bindings), list(parts.functions)
    (["Assign(targets=[Name(id='X', ctx=Store())], value=Constant(value=1))"], ['import os', 'f'], ['f'])
    """
    tree = ast.parse(source)
    splitter = _Splitter()
    splitter.split_module(tree.body)
    return splitter.parts


@dataclass(frozen=True, slots=True)
class _Scope:
    """A module or a class: how its definitions may be treated."""

    prefix: str  # of qualified names; empty for a module
    bound: Counter[str]  # how often it binds each name
    fixed: frozenset[str]  # names whose definitions must keep their place among the statements
    is_open: bool  # whether nothing looks through its definitions while they are made

    def may_move(self, name: str) -> bool:
        return self.is_open and self.bound[name] == 1 and name not in self.fixed


class _Splitter:
    def __init__(self) -> None:
        self.parts = SourceParts()
        self._numbers: Counter[str] = Counter()  # definitions by qualified name
        self._loaded: set[str] = set()  # modules that an earlier statement loads
        self._standard: frozenset[str] = frozenset()
        self._annotated: Counter[str] = Counter()  # names by scope

    def split_module(self, body: Sequence[ast.stmt]) -> None:
        bound = Counter(bound_names(body))
        self._standard = standard_names(body, bound)
        # A name that has a meaning before its definition must keep its place among those that use it.
        scope = _Scope("", bound, frozenset(dir(builtins)), is_open="*" not in bound)
        self._split_scope(body, scope)

    def _split_scope(self, body: Sequence[ast.stmt], scope: _Scope) -> None:
        for index, statement in enumerate(body):
            if is_documentation(statement):
                self.parts.documentation[f"{scope.prefix} {index}"] = ast.dump(statement)
            elif scope.prefix and scope.is_open and is_empty(statement):
                continue
            elif isinstance(statement, FunctionNode):
                self._add_function(statement, scope)
            elif isinstance(statement, ast.ClassDef):
                self._add_class(statement, scope)
            elif not self._add_binding(statement, scope):
                self._add_statement(statement, scope)

    def _add_binding(self, statement: ast.stmt, scope: _Scope) -> bool:
        """Add what binds names and nothing else; False where this statement does more."""
        if isinstance(statement, ast.AnnAssign) and scope.is_open and is_bare_annotation(statement):
            self._note_annotation(statement, scope)
            return True
        if scope.prefix:
            return False
        if never_runs(statement, self._standard):
            return True
        if isinstance(statement, ast.Import | ast.ImportFrom) and _binds_once(statement, scope):
            self._add_import(statement)
            return True
        exports = _exported_names(statement, scope)
        if exports is not None:
            self.parts.exports = exports
            self._bind(EXPORTS, EXPORTS, ast.dump(statement))
            return True
        constant = _private_constant(statement, self._standard)
        if constant is None or not scope.may_move(constant.name):
            return False
        self._bind(constant.name, constant.name, constant.text)
        return True

    def _bind(self, key: str, name: str, text: str) -> None:
        self.parts.bindings[key] = Binding(name, text, len(self.parts.statements))

    def _note_annotation(self, statement: ast.AnnAssign, scope: _Scope) -> None:
        """Keep the annotation of a name, and its place among those of its scope."""
        self._annotated[scope.prefix] += 1
        key = f"{scope.prefix}{ast.unparse(statement.target)}:"
        self.parts.annotations[key] = f"{self._annotated[scope.prefix]} {ast.dump(statement.annotation)}"

    def _add_statement(self, statement: ast.stmt, scope: _Scope) -> None:
        if (
            isinstance(statement, ast.AnnAssign)
            and scope.is_open
            and is_plain_annotation(statement.annotation)
        ):
            self._note_annotation(statement, scope)
            statement = copy.copy(statement)
            statement.annotation = ast.Constant(value="")
        self.parts.statements.append(Statement(ast.dump(self._without_functions(statement, scope.prefix))))

    def _add_function(self, node: FunctionNode, scope: _Scope) -> None:
        standard = self._standard_in(scope)
        text, bare_text = _dump_header(node, standard), _dump_header(_without_annotations(node), standard)
        key = self._record_function(node, scope.prefix)
        decorators = standard & (PLAIN_DECORATORS | MARKERS.keys())
        if scope.is_open and has_plain_annotations(node) and has_decorators_of(node, decorators):
            self.parts.annotations[key], text = text, bare_text
        if is_plain_function(node, standard) and scope.may_move(node.name):
            self._bind(key, node.name, text)
        else:
            self.parts.statements.append(Statement(f"{key}: {text}"))

    def _standard_in(self, scope: _Scope) -> frozenset[str]:
        """The names that mean in a scope what they mean in Python."""
        return self._standard - scope.bound.keys() if scope.prefix else self._standard

    def _record_function(self, node: FunctionNode, prefix: str) -> str:
        key = self._next_key(prefix + node.name)
        body = "\n".join(map(ast.dump, self._take_documentation(key, node)))
        self.parts.functions[key] = Function(key, body, _first_line(node), node.end_lineno or node.lineno)
        return key

    def _take_documentation(self, key: str, node: FunctionNode) -> list[ast.stmt]:
        """Take the documentation strings out of a function, and return its body."""
        for number, inner in enumerate(ast.walk(node)):
            body = getattr(inner, "body", None)
            if isinstance(body, list):
                for index, statement in enumerate(body):
                    if is_documentation(statement):
                        self.parts.documentation[f"{key} {number} {index}"] = ast.dump(statement)
                inner.body = [each for each in body if not is_documentation(each)]  # type: ignore[attr-defined]
        return node.body

    def _add_class(self, node: ast.ClassDef, scope: _Scope) -> None:
        key = self._next_key(scope.prefix + node.name)
        standard = self._standard_in(scope)
        text = _dump_header(node, standard)
        is_binding = is_plain_class(node, standard) and scope.may_move(node.name)
        if is_binding:
            self._bind(key, node.name, text)
        else:
            self.parts.statements.append(Statement(f"{key}: {text}"))
        self._split_scope(
            node.body,
            _Scope(
                prefix=f"{key}.",
                bound=Counter(bound_names(node.body)),
                fixed=frozenset(read_names(node.body)),
                is_open=not (node.keywords or node.decorator_list) and scope.is_open,
            ),
        )
        if not is_binding:
            self.parts.statements.append(Statement(f"end of {key}"))

    def _add_import(self, statement: ast.Import | ast.ImportFrom) -> None:
        """Each name is a binding of its own; the modules that are loaded keep their place."""
        origin = _origin(statement)
        for alias in statement.names:
            name = imported_name(statement, alias)
            self._bind(f"{IMPORT}{name}", name, f"{origin}:{alias.name}")
            for module in () if _is_standard(statement, alias) else _modules(statement, alias):
                if module not in self._loaded:
                    self._loaded.add(module)
                    self.parts.statements.append(Statement(f"import {module}", loads=module))

    def _without_functions(self, statement: ast.stmt, prefix: str) -> ast.AST:
        """A statement in which each function inside an `if`, a `try` or a loop has lost its body."""
        splitter = self

        class Replacement(ast.NodeTransformer):
            def _replace(self, node: FunctionNode) -> ast.AST:
                header = _dump_header(node, frozenset())
                splitter._record_function(node, prefix)
                return ast.Constant(header)

            visit_FunctionDef = visit_AsyncFunctionDef = _replace  # noqa: N815 - ast's names

        replaced: ast.AST = Replacement().visit(statement)
        return replaced

    def _next_key(self, name: str) -> str:
        self._numbers[name] += 1
        number = self._numbers[name]
        return name if number == 1 else f"{name} ({number})"


def _dump_header(node: Definition, standard: AbstractSet[str]) -> str:
    """A definition without its body. Its documentation is kept where a decorator may read it."""
    header = copy.copy(node)
    header.body = []
    text = ast.dump(header)
    is_plain = has_decorators_of(node, PLAIN_DECORATORS & standard)
    return text if is_plain else f"{text} {ast.get_docstring(node, clean=False)!r}"


def _without_annotations(node: FunctionNode) -> FunctionNode:
    bare = copy.copy(node)
    bare.returns, bare.args = None, copy.copy(node.args)
    for kind, value in ast.iter_fields(node.args):
        if isinstance(value, ast.arg):
            setattr(bare.args, kind, ast.arg(value.arg))
        elif kind in ("posonlyargs", "args", "kwonlyargs"):
            setattr(bare.args, kind, [ast.arg(each.arg) for each in value])
    return bare


def _private_constant(statement: ast.stmt, standard: AbstractSet[str]) -> Binding | None:
    """The binding of a private name to a plain value; None where a statement is anything else.

    A public one may be read by a framework that looks through a module, as for settings.
    """
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            pass
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value, annotation=annotation):
            if not is_plain_annotation(annotation):
                return None
        case _:
            return None
    is_private = name.startswith("_") and not name.startswith("__") and name != "_"
    is_private |= name == "__version__"
    return Binding(name, ast.dump(value)) if is_private and is_plain_value(value, standard) else None


def _exported_names(statement: ast.stmt, scope: _Scope) -> frozenset[str] | None:
    """The names in `__all__ = [...]`, where nothing else binds it."""
    match statement:
        case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List() | ast.Tuple() as value):
            names = {part.value for part in value.elts if isinstance(part, ast.Constant)}
            if len(names) == len(value.elts) and scope.bound[EXPORTS] == 1:
                return frozenset(map(str, names))
    return None


def _binds_once(statement: ast.Import | ast.ImportFrom, scope: _Scope) -> bool:
    is_future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
    names = [imported_name(statement, alias) for alias in statement.names]
    return not is_future and all(scope.may_move(name) and not name.startswith("__") for name in names)


def _origin(statement: ast.Import | ast.ImportFrom) -> str:
    """The module from which names are imported, as written; empty for `import x`."""
    if isinstance(statement, ast.Import):
        return ""
    return "." * statement.level + (statement.module or "")


def _modules(statement: ast.Import | ast.ImportFrom, alias: ast.alias) -> Iterator[str]:
    """The modules that an import may load, as written; a name that it imports may be one."""
    origin = _origin(statement)
    if not origin:
        yield alias.name
        return
    yield origin
    yield f"{origin}{alias.name}" if origin.endswith(".") else f"{origin}.{alias.name}"


def _is_standard(statement: ast.Import | ast.ImportFrom, alias: ast.alias) -> bool:
    """Whether it imports from the standard library, which is taken to have no effect on other modules."""
    module = _origin(statement) or alias.name
    return module.split(".")[0] in sys.stdlib_module_names


def _first_line(node: Definition) -> int:
    return min([node.lineno, *(each.lineno for each in node.decorator_list)])
