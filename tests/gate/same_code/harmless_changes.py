"""Changes that alter nothing of what runs. Some of them are timed all the same, and each says why."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tests.gate.same_code.changes import replaced
from tests.gate.same_code.small_projects import Case, Files

FEATURE = '''"""A feature."""

import json
import os
from pathlib import Path

SIZE = 1000
NAMES = ("a", "b")


class Plain:
    """A class."""

    def used(self):
        """Used."""
        return SIZE

    def unused(self):
        return 1


def helper(n=2):
    """Help."""
    return n * SIZE


def unused(n):
    raise ValueError("no such name")


def run():
    # The work.
    return helper() + Plain().used() + len(NAMES)
'''


def changed(name: str, old: str, new: str) -> Case:
    assert old in FEATURE, name
    return Case(name, {"toy/feature.py": FEATURE}, {"toy/feature.py": FEATURE.replace(old, new)})


def beside(name: str, files: Files, **base: str) -> Case:
    return Case(name, {"toy/feature.py": FEATURE, **base}, files)


# torch.compile keeps an address of its library in a variable: another one in each process.
KEEPS_AN_ADDRESS = """
import os

os.environ["_TORCHINDUCTOR_PYOBJECT_TENSOR_DATA_PTR"] = str(os.getpid())


def run():
    return 1
"""

# Two modules; `run` uses names of both.
OTHER = """
import abc
from typing import overload


class Base(abc.ABC):
    size: int = 2

    def used(self):
        return 1


def first():
    return _check(1)


def second():
    return 2


def _check(n):
    return n
"""
USER = """
from toy.other import Base, first


class Own(Base):
    label: str
    count: int = 1

    def __init__(self, n=1):
        self.n = n

    def used(self):
        return super().used() + self.n


def unused(n):
    return n


def run():
    return first() + Own().used()
"""


def used(name: str, old: str, new: str, others: Mapping[str, str] = MappingProxyType({})) -> Case:
    """A change of toy/feature.py, which uses toy/other.py."""
    assert old in USER, name
    files = {"toy/other.py": OTHER, **others}
    return Case(name, {"toy/feature.py": USER, **files}, {"toy/feature.py": USER.replace(old, new, 1)})


def used_other(name: str, old: str, new: str) -> Case:
    """A change of toy/other.py."""
    assert old in OTHER, name
    files = {"toy/feature.py": USER, "toy/other.py": OTHER}
    return Case(name, files, {"toy/other.py": OTHER.replace(old, new, 1)})


EVAL = USER.replace("def used", "def eval(self):\n        return self\n\n    def used").replace(
    "Own().used", "Own().eval().used"
)
COPIES_DOCUMENTATION = '''
def copied(function):
    def wrapper():
        return function()

    wrapper.__doc__ = function.__doc__
    return wrapper


@copied
def helper():
    return 1


def unused():
    """Helps."""


def run():
    return helper()
'''
UNUSED_ONE = "def unused():\n    return 1\ndef run():\n    return 1\n"
UNUSED_CHANGE = ("def unused():\n    return 1", "def unused():\n    return 2")
RAISES = """
import sys


class Lazy:
    def __getattr__(self, name):
        raise RuntimeError(name)


sys.modules["toy.lazy"] = Lazy()


"""
LOADS_LATE = """
import sys
from importlib import util

spec = util.find_spec("xmlrpc.server")
spec.loader = util.LazyLoader(spec.loader)
late = util.module_from_spec(spec)
sys.modules["xmlrpc.server"] = late
spec.loader.exec_module(late)


"""
OVERLOADS = "@overload\ndef first(n: int) -> int: ...\n@overload\ndef first(n: bytes) -> int: ...\n"
HARMLESS_DEFINITIONS = [
    used("name added to an import", "import Base, first", "import Base, first, second"),
    used(
        "name added to an import, for a function that does not run",
        "import Base, first\n",
        "import Base, first, second\n\n\ndef more():\n    return second()\n",
    ),
    used(
        "import of a module that is there already",
        "from toy.other",
        "from toy.third import third\nfrom toy.other",
        {"toy/third.py": "def third():\n    return 3\n", "toy/__init__.py": "from toy import third\n"},
    ),
    used(
        "private function of the same name as another module's",
        "def unused",
        "def _check(n):\n    return n\n\n\ndef unused",
    ),
    used(
        "method added to a class with a base",
        "    def used",
        "    def more(self):\n        return 1\n\n    def used",
    ),
    used(
        "import for type checkers",
        "from toy.other",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from toy.c import C\nfrom toy.other",
    ),
    used("default of a function that does not run", "def unused(n)", "def unused(n=2)"),
    used("annotation of a method that runs", "def used(self)", "def used(self) -> int"),
    used("annotation of a special method that runs", "self, n=1", "self, n: int = 1"),
    used("annotation of an attribute without a value", "label: str", "label: str | None"),
    used("annotation of an attribute with a value", "count: int", "count: float"),
    used_other(
        "method added to an abstract class",
        "    def used",
        "    def more(self):\n        return 1\n\n    def used",
    ),
    used_other(
        "function added beside an abstract class",
        "def second",
        "def third():\n    return 3\n\n\ndef second",
    ),
    Case(
        "annotation of an overload",
        {"toy/feature.py": USER, "toy/other.py": OTHER.replace("def first", OVERLOADS + "def first")},
        {"toy/other.py": OTHER.replace("def first", OVERLOADS.replace("bytes", "str") + "def first")},
    ),
    used(
        "name that another module lists in __all__",
        "from toy.other",
        "from toy.third import third\nfrom toy.other",
        {
            "toy/third.py": "__all__ = ['third', 'fourth', 'fifth']\n\n\ndef third():\n    return 3\n",
            "toy/__init__.py": "from toy import third\n",
        },
    ),
    Case(
        "private function of a module whose names are all imported",
        {
            "toy/feature.py": USER.replace("import Base, first", "import *"),
            "toy/other.py": OTHER + "\n\n__all__ = ['Base', 'first']\n",
            "toy/third.py": "def _more():\n    return 1\n",
            "toy/__init__.py": "from toy.third import _more\n",
        },
        {"toy/other.py": OTHER + "\n\ndef _more():\n    return 1\n\n\n__all__ = ['Base', 'first']\n"},
    ),
    Case(
        "private function beside a model that is set to eval",
        {"toy/feature.py": EVAL, "toy/other.py": OTHER},
        {"toy/other.py": OTHER.replace("def second", "def _more():\n    return 1\n\n\ndef second")},
    ),
    replaced("documentation that a decorator copies", COPIES_DOCUMENTATION, "Helps.", "Helps much."),
    replaced("object among the modules that raises when it is asked", RAISES + UNUSED_ONE, *UNUSED_CHANGE),
    replaced("module that would be loaded late", LOADS_LATE + UNUSED_ONE, *UNUSED_CHANGE),
    Case(
        "names in __all__",
        {"toy/feature.py": USER, "toy/other.py": OTHER + "\n\n__all__ = ['Base', 'first']\n"},
        {
            "toy/other.py": OTHER
            + "\n\ndef third():\n    return 3\n\n\n__all__ = ['Base', 'first', 'third']\n"
        },
    ),
    changed("annotation of a function that runs", "def helper(n=2)", "def helper(n: int = 2)"),
]

HARMLESS = [
    *HARMLESS_DEFINITIONS,
    beside("address in a variable", {"README.md": "more"}, **{"toy/feature.py": KEEPS_AN_ADDRESS}),
    changed("comment", "# The work.", "# All of the work, explained."),
    changed("comment with other letters", "# The work.", "# Wörk ✓"),
    changed("documentation of the module", "A feature.", "A feature, explained."),
    changed("documentation of a class", "A class.", "A class, explained."),
    changed("documentation of a function", '"""Help."""', '"""Help more.\n\n    At length.\n    """'),
    changed("documentation that is removed", '        """Used."""\n', ""),
    changed("quotes", '("a", "b")', "('a', 'b')"),
    changed("number format", "1000", "1_000"),
    changed("line breaks", '("a", "b")', '(\n    "a",\n    "b",\n)'),
    changed("parentheses", "return n * SIZE", "return (n * SIZE)"),
    changed("blank lines", "NAMES =", "\n\nNAMES ="),
    changed("license header", '"""A feature."""', '# Copyright\n"""A feature."""'),
    changed("encoding line", '"""A feature."""', '# -*- coding: utf-8 -*-\n"""A feature."""'),
    changed("unused function added", "def run", "def more(a, b=1):\n    return a + b\n\n\ndef run"),
    changed(
        "unused function with annotations",
        "def run",
        "def more(a: int) -> list[int]:\n    return [a]\n\n\ndef run",
    ),
    changed("unused function removed", 'def unused(n):\n    raise ValueError("no such name")\n\n\n', ""),
    changed("unused function changed", "no such name", "there is no such name"),
    changed("unused coroutine added", "def run", "async def more():\n    return 1\n\n\ndef run"),
    changed("unused method changed", "        return 1\n", "        return 2\n"),
    changed(
        "unused method added",
        "    def unused(self)",
        "    def more(self):\n        return 3\n\n    def unused(self)",
    ),
    changed(
        "unused class added", "def helper", "class More:\n    def f(self):\n        return 1\n\n\ndef helper"
    ),
    changed(
        "helper of an unused function",
        'def unused(n):\n    raise ValueError("no such name")',
        'def text():\n    return "no"\n\n\ndef unused(n):\n    raise ValueError(text())',
    ),
    changed(
        "functions in another order",
        FEATURE[FEATURE.index("def helper") : FEATURE.index("def run")],
        FEATURE[FEATURE.index("def unused(n)") : FEATURE.index("def run")]
        + FEATURE[FEATURE.index("def helper") : FEATURE.index("def unused(n)")],
    ),
    changed("private constant that nothing reads", "NAMES =", "_UNREAD: int = 2 * 1024\nNAMES ="),
    changed("private constants that nothing reads", "NAMES =", '_A = {"b": [-1, ("c",)]}\n_D = {2}\nNAMES ='),
    changed(
        "private pattern of a function that does not run",
        'def unused(n):\n    raise ValueError("no such name")',
        'import re\n_WORD = re.compile("a+", re.I | re.X)\n\n\ndef unused(n):\n    return _WORD.match(n)',
    ),
    changed("private constant in another place", "NAMES =", "_N = frozenset({1})\nNAMES ="),
    changed("standard imports in another order", "import json\nimport os", "import os\nimport json"),
    changed("standard import added", "import os\n", "import os\nimport textwrap\n"),
    changed("unused standard import removed", "import json\n", ""),
    beside("README", {"README.md": "Words"}),
    beside("changed README", {"README.md": "Words"}, **{"README.md": "Word"}),
    beside("workflow", {".github/workflows/ci.yml": "on: push"}),
    beside("module that nothing imports", {"toy/other.py": "X = 1\n"}),
    beside(
        "change of a module that nothing imports", {"toy/other.py": "X = 2\n"}, **{"toy/other.py": "X = 1\n"}
    ),
    beside("test", {"tests/test_feature.py": "def test_feature():\n    assert True\n"}),
    beside("data that nothing reads", {"toy/other.json": "[1]"}, **{"toy/other.json": "[]"}),
    beside(
        "version of the project", {"pyproject.toml": "version = '2'"}, **{"pyproject.toml": "version = '1'"}
    ),
    beside("stub", {"toy/feature.pyi": "def run() -> int: ...\n"}),
]
# Timed, because the effect of such a change is not followed.
TIMED = [
    changed("constant that nothing reads", "NAMES =", "UNREAD = 1\nNAMES ="),
    changed("local name", "return n * SIZE", "product = n * SIZE\n    return product"),
]
