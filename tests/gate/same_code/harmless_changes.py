"""Changes that alter nothing of what runs. Some of them are timed all the same, and each says why."""

from __future__ import annotations

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

HARMLESS = [
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
    changed("annotation of a function that runs", "def helper(n=2)", "def helper(n: int = 2)"),
    changed("constant that nothing reads", "NAMES =", "UNREAD = 1\nNAMES ="),
    changed("local name", "return n * SIZE", "product = n * SIZE\n    return product"),
]
