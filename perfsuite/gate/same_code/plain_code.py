"""Which definitions and values have no effect when a module is imported, but to bind a name."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from types import EllipsisType

# Decorators that do nothing but wrap. Any other may run code, register the function or read its text.
PLAIN_DECORATORS = frozenset({"staticmethod", "classmethod", "property"})
BUILTINS = PLAIN_DECORATORS | {"frozenset", "__name__"}
STANDARD_MODULES = frozenset({"re", "typing", "logging"})
# Decorators of the standard library that read no annotations, and the modules that have them.
MARKERS = {"overload": "typing", "final": "typing", "override": "typing", "abstractmethod": "abc"}
# `isinstance` finds generators by these methods.
GENERATOR_METHODS = frozenset({"send", "throw", "close", "asend", "athrow", "aclose"})
STANDARD_NAMES = {**MARKERS, "TYPE_CHECKING": "typing"}
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
Definition = FunctionNode | ast.ClassDef


def is_empty(statement: ast.stmt) -> bool:
    """Whether it is `pass` or `...`."""
    match statement:
        case ast.Pass() | ast.Expr(value=ast.Constant(value=EllipsisType())):
            return True
    return False


def is_documentation(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def has_decorators_of(node: Definition, known: AbstractSet[str]) -> bool:
    """Whether all of its decorators are among these names."""
    return all(isinstance(each, ast.Name) and each.id in known for each in node.decorator_list)


def parameters(node: FunctionNode) -> list[ast.arg]:
    """The parameters of a function."""
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return every + [each for each in (arguments.vararg, arguments.kwarg) if each]


def has_plain_annotations(node: FunctionNode) -> bool:
    annotations = [each.annotation for each in parameters(node)] + [node.returns]
    return all(is_plain_annotation(each) for each in annotations if each)


def is_plain_annotation(node: ast.expr) -> bool:
    return all(isinstance(part, PLAIN_ANNOTATION) for part in ast.walk(node))


def is_plain_function(node: FunctionNode, standard: AbstractSet[str]) -> bool:
    """Whether defining this function has no effect but to bind its name.

    `standard` are the names that mean in its module what they mean in Python.
    """
    defaults = [*node.args.defaults, *(each for each in node.args.kw_defaults if each)]
    is_special = node.name.startswith(("__", "pytest_")) or node.name in GENERATOR_METHODS
    return (
        not is_special
        and has_decorators_of(node, PLAIN_DECORATORS & standard)
        and has_plain_annotations(node)
        and all(_is_constant(each) for each in defaults)
    )


def is_plain_class(node: ast.ClassDef, standard: AbstractSet[str]) -> bool:
    """Whether defining this class has no effect but to bind its name, whatever its methods do."""
    if node.bases or node.keywords or node.decorator_list:
        return False
    names = Counter(bound_names(node.body))
    return all(
        is_documentation(statement)
        or is_empty(statement)
        or (isinstance(statement, ast.AnnAssign) and is_bare_annotation(statement))
        or (
            isinstance(statement, FunctionNode)
            and names[statement.name] == 1
            and is_plain_function(statement, standard - names.keys())
        )
        for statement in node.body
    )


def never_runs(statement: ast.stmt, standard: AbstractSet[str]) -> bool:
    """Whether it is `if TYPE_CHECKING:`, or `if __name__ == "__main__":` in a module that is imported."""
    match statement:
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=[]):
            return "TYPE_CHECKING" in standard
        case ast.If(test=ast.Attribute(value=ast.Name(id="typing"), attr="TYPE_CHECKING"), orelse=[]):
            return "typing" in standard
        case ast.If(
            test=ast.Compare(
                left=ast.Name(id="__name__"), ops=[ast.Eq()], comparators=[ast.Constant(value="__main__")]
            ),
            orelse=[],
        ):
            return "__name__" in standard
    return False


def is_bare_annotation(statement: ast.AnnAssign) -> bool:
    """Whether it annotates a name and binds nothing: `x: int`."""
    is_name = isinstance(statement.target, ast.Name) and statement.simple == 1
    return is_name and statement.value is None and is_plain_annotation(statement.annotation)


def is_plain_value(node: ast.expr | None, standard_names: AbstractSet[str]) -> bool:
    """Whether a value is made of constants by the language or by `re`, or is the module's logger."""
    match node:
        case ast.Constant():
            return True
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            return all(is_plain_value(part, standard_names) for part in parts)
        case ast.Dict(keys=keys, values=values):
            return all(is_plain_value(part, standard_names) for part in (*keys, *values))
        case ast.UnaryOp(operand=operand):
            return is_plain_value(operand, standard_names)
        case ast.BinOp(left=left, right=right):
            return is_plain_value(left, standard_names) and is_plain_value(right, standard_names)
        case ast.Attribute(value=ast.Name(id="re"), attr=flag):
            return "re" in standard_names and flag.isupper()
        case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr="compile"), args=parts, keywords=[]):
            return "re" in standard_names and all(is_plain_value(part, standard_names) for part in parts)
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="logging"), attr="getLogger"),
            args=[ast.Name(id="__name__")],
            keywords=[],
        ):
            return standard_names >= {"logging", "__name__"}
        case ast.Call(func=ast.Name(id="frozenset"), args=parts, keywords=[]):
            return "frozenset" in standard_names and all(
                is_plain_value(part, standard_names) for part in parts
            )
    return False


def standard_names(body: Iterable[ast.stmt], bound: Counter[str]) -> frozenset[str]:
    """Which of STANDARD_MODULES, BUILTINS and STANDARD_NAMES mean in a module what they mean in Python."""
    imported = {
        alias.name
        for statement in body
        if isinstance(statement, ast.Import | ast.ImportFrom)
        for alias in statement.names
        if alias.asname is None
        and (
            alias.name in STANDARD_MODULES
            if isinstance(statement, ast.Import)
            else statement.level == 0 and STANDARD_NAMES.get(alias.name) == statement.module
        )
    }
    return frozenset({name for name in imported if bound[name] == 1} | (BUILTINS - bound.keys()))


def bound_names(body: Iterable[ast.stmt]) -> Iterator[str]:
    """Names that a scope binds, once for each time; those bound inside its functions are not among them."""
    for statement in body:
        if isinstance(statement, Definition):
            yield statement.name
            continue
        for node in ast.walk(statement):
            if isinstance(node, Definition):
                yield node.name
            elif isinstance(node, ast.Import | ast.ImportFrom):
                yield from (imported_name(node, alias) for alias in node.names)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
                yield node.id
            elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
                yield node.name
            elif isinstance(node, ast.MatchMapping) and node.rest:
                yield node.rest


def imported_name(statement: ast.Import | ast.ImportFrom, alias: ast.alias) -> str:
    if alias.asname or isinstance(statement, ast.ImportFrom):
        return alias.asname or alias.name
    return alias.name.split(".")[0]


def read_names(body: Sequence[ast.stmt]) -> set[str]:
    """Names that the statements of a scope read while they run, those in bodies of its functions left out."""
    found: set[str] = set()
    for statement in body:
        parts: list[ast.AST] = [statement]
        if isinstance(statement, FunctionNode):
            parts = [*statement.decorator_list, statement.args, *filter(None, [statement.returns])]
        found |= {node.id for part in parts for node in ast.walk(part) if isinstance(node, ast.Name)}
    return found


def _is_constant(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        return _is_constant(node.operand)
    return isinstance(node, ast.Constant) or (
        isinstance(node, ast.Tuple) and all(_is_constant(each) for each in node.elts)
    )
