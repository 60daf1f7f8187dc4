"""Which of the wanted names a code object mentions, and how."""

from __future__ import annotations

import dis
import re
from collections.abc import Iterable, Iterator, Sequence, Set
from types import CodeType

ANYHOW = "anyhow"  # as an attribute or a text, whatever it belongs to
GLOBAL = "global"  # as a variable of its own module
IMPORTED = "imported"  # from the module that is named with it
LOADED = "loaded"  # as a module itself, which is no variable yet
OWN_NAMES = ("_GLOBAL", "_NAME")  # how instructions end that use a module's own variables
KEPT_ANNOTATIONS = frozenset({"__annotations__", "__annotate__"})  # where a module or a class puts its own
MAKING_LISTS = frozenset({"LOAD_CONST", "BUILD_LIST", "BUILD_TUPLE", "LIST_EXTEND"})
NAME = re.compile(r"[^\W\d]\w*")
MAX_PATH = 1000  # characters of a text in which names are looked for
IS_FUNCTION = 0x1  # CO_OPTIMIZED: neither a module's nor a class's own code

Mention = tuple[str, str, str]  # the name, how, and the file or module


def mentions(code: CodeType, wanted: Set[str], file: str) -> Iterator[Mention]:
    """The wanted names that a code object of this file reads, and its texts that are such names."""
    names = (part for name in code.co_names for part in name.split("."))
    if wanted.isdisjoint(names) and wanted.isdisjoint(_texts(code.co_consts)):
        return
    module, is_from, texts = "", False, list[str]()
    instructions = [each for each in dis.get_instructions(code) if each.opname != "EXTENDED_ARG"]
    for index, instruction in enumerate(instructions):
        kind, value = instruction.opname, instruction.argval
        if instruction.opcode in dis.hasconst:
            texts += _texts([value])
        if kind in MAKING_LISTS:
            continue
        # The names after `import`, and those listed in `__all__`, are no texts that code looks up.
        if kind != "IMPORT_NAME" and not (kind == "STORE_NAME" and value == "__all__"):
            yield from ((text, ANYHOW, "") for text in texts if text in wanted)
        texts.clear()
        if kind == "IMPORT_NAME":
            module = value
            is_from = instructions[index - 1].argval is not None
            # pytest's rewritten assertions import builtins as `@py_builtins`.
            is_of_pytest = str(instructions[index + 1].argval).startswith("@")
            if (last := value.rpartition(".")[2]) in wanted and not is_of_pytest:
                yield last, LOADED, value
        elif instruction.opcode not in dis.hasname or value not in wanted or kind == "STORE_NAME":
            continue
        elif kind == "IMPORT_FROM":  # also for `import a.b as c`, which looks up `b` in `a`
            yield (value, IMPORTED, module) if is_from else (value, ANYHOW, "")
        elif kind.endswith(OWN_NAMES):
            if code.co_flags & IS_FUNCTION or value not in KEPT_ANNOTATIONS:
                yield value, GLOBAL, file
        elif not _is_documentation_copied(instructions[index : index + 3]):
            yield value, ANYHOW, ""


def _is_documentation_copied(three: Sequence[dis.Instruction]) -> bool:
    """Whether these instructions are `a.__doc__ = b.__doc__`, as in a decorator, or the end of it."""
    if three[0].argval != "__doc__":
        return False
    copied = [each.opname for each in three] + [three[-1].argval]
    return copied[0] == "STORE_ATTR" or (
        len(three) == 3 and copied[1].startswith("LOAD_") and copied[2:] == ["STORE_ATTR", "__doc__"]
    )


def _texts(constants: Iterable[object]) -> Iterator[str]:
    """Texts, and the names in those that may be paths (`toy.feature:run`) or formats (`{toy.run}`)."""
    for constant in constants:
        if isinstance(constant, str):
            yield constant
            if "{" in constant or not any(map(str.isspace, constant[:MAX_PATH])):
                yield from NAME.findall(constant[:MAX_PATH])
        elif isinstance(constant, tuple | frozenset):
            yield from _texts(constant)
