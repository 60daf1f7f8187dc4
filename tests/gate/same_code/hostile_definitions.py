"""Changes of definitions, of their order, and of names that are looked up in unusual ways."""

from __future__ import annotations

from tests.gate.same_code.changes import UNUSED, beside, replaced
from tests.gate.same_code.small_projects import Case

# A module that registers itself where it is loaded, and others that see which ones have.
REGISTRY = {
    "toy/registry.py": "FOUND = []\n",
    "toy/early.py": "from toy import registry\nregistry.FOUND.append(1)\n",
    "toy/late.py": "from toy import registry\nregistry.FOUND.append(2)\n",
}
SEES_REGISTRY = (
    "from toy import registry\n{imports}FOUND = tuple(registry.FOUND)\ndef run():\n    return FOUND\n"
)
SUBCLASS = (
    "from toy.base import Base\nclass C(Base):\n    n = 1\n{method}def run():\n    return C().count()\n"
)
FITS = (
    "from typing import Protocol, runtime_checkable\nfrom toy import make\n@runtime_checkable\n"
    "class P(Protocol):\n    def extra(self): ...\n"
)
METHOD = "    def extra(self):\n        return 2\n"


def imports(name: str, base: str, head: str, **more: str) -> Case:
    """A change of what toy/feature.py imports before it looks at the registry."""
    files = {**REGISTRY, **{f"toy/{key}.py": text for key, text in more.items()}}
    sources = [SEES_REGISTRY.format(imports=text) for text in (base, head)]
    return Case(name, {**files, "toy/feature.py": sources[0]}, {"toy/feature.py": sources[1]})


def subclass(name: str, base: str) -> Case:
    """A method that is added to a class and never called; `base` is the module of its base class."""
    sources = [SUBCLASS.format(method=method) for method in ("", METHOD)]
    return Case(name, {"toy/base.py": base, "toy/feature.py": sources[0]}, {"toy/feature.py": sources[1]})


HOSTILE_DEFINITIONS = [
    imports("import that loads a module", "", "from toy import early\n"),
    imports("import of a name that is a module", "from toy import registry as r\n", "from toy import late\n"),
    imports("import of a module by its dotted name", "", "import toy.early\n"),
    imports(
        "imports in another order",
        "from toy.early import registry as a\nfrom toy.late import registry as b\n",
        "from toy.late import registry as b\nfrom toy.early import registry as a\n",
    ),
    imports(
        "import that is moved behind a statement",
        "from toy import early\nX = registry.FOUND[:]\n",
        "X = registry.FOUND[:]\nfrom toy import early\n",
    ),
    imports(
        "import of a module that was only looked for",
        "from toy import finder\n",
        "from toy import finder\nfrom toy import early\n",
        finder="from importlib.util import find_spec\nHAS = find_spec('toy.early')\n",
    ),
    imports(
        "import of a module that a later one loads",
        "from toy.late import registry as b\nimport toy.after\n",
        "from toy.late import registry as b\nfrom toy.early import registry as a\nimport toy.after\n",
        after="from toy import early\n",
    ),
    imports(
        "import of a name that a module makes when it is asked",
        "from toy import maker\n",
        "from toy import maker\nfrom toy.maker import early\n",
        maker="def __getattr__(name):\n    from toy import registry\n    registry.FOUND.append(name)\n"
        "    return 1\n",
    ),
    replaced(
        "name that is imported from elsewhere",
        "from toy.one import work\ndef run():\n    return work()\n",
        "toy.one",
        "toy.two",
        toy__one_dot_py="def work():\n    return 1\n",
        toy__two_dot_py="from toy import one\ndef work():\n    return 2\n",
    ),
    replaced(
        "imported name that hides a builtin of a later statement",
        "from toy.one import x\nN = max(1, 2)\ndef run():\n    return N\n",
        "import x",
        "import x, max",
        toy__one_dot_py="x = 1\ndef max(a, b):\n    return a\n",
    ),
    replaced(
        "function before a statement that calls the builtin of its name",
        "N = max(1, 2)\ndef max(a, b):\n    return a\ndef run():\n    return N\n",
        "N = max(1, 2)\ndef max(a, b):\n    return a\n",
        "def max(a, b):\n    return a\nN = max(1, 2)\n",
    ),
    replaced(
        "method before a statement that calls the function of its name",
        "def f(*a):\n    return 1\nclass C:\n    n = f()\n    def f(*a):\n        return 2\n"
        "def run():\n    return C.n\n",
        "    n = f()\n    def f(*a):\n        return 2\n",
        "    def f(*a):\n        return 2\n    n = f()\n",
    ),
    replaced(
        "function that hides one of an import of all names",
        "from toy.one import *\nN = f()\ndef f():\n    return 2\ndef run():\n    return N\n",
        "N = f()\ndef f():\n    return 2\n",
        "def f():\n    return 2\nN = f()\n",
        toy__one_dot_py="def f():\n    return 1\n",
    ),
    Case(
        "name in __all__ of a module whose names are all imported",
        {
            "toy/feature.py": "x = 1\nfrom toy.one import *\ndef run():\n    return x\n",
            "toy/one.py": "x = 2\n__all__ = ['y']\ny = 3\n",
        },
        {"toy/one.py": "x = 2\n__all__ = ['y', 'x']\ny = 3\n"},
    ),
    beside(
        "__all__ that is read",
        "from toy import one\ndef run():\n    return len(one.__all__)\n",
        "toy/one.py",
        "__all__ = ['x']\nx = y = 1\n",
        "__all__ = ['x', 'y']\nx = y = 1\n",
    ),
    Case(
        "constant that another changed module imports",
        {
            "toy/feature.py": "from toy.one import _N as n\ndef unused():\n    return 1\ndef run():\n"
            "    return n\n",
            "toy/one.py": "_N = 1\n",
        },
        {
            "toy/feature.py": "from toy.one import _N as n\ndef unused():\n    return 2\ndef run():\n"
            "    return n\n",
            "toy/one.py": "_N = 2\n",
        },
    ),
    beside(
        "constant that another module imports",
        "from toy.one import _N as n\ndef run():\n    return n\n",
        "toy/one.py",
        "_N = 1\n",
        "_N = 2\n",
    ),
    beside(
        "constant that a function imports",
        "def run():\n    from toy.one import _N as n\n    return n\n",
        "toy/one.py",
        "_N = 1\n",
        "_N = 2\n",
    ),
    Case(
        "constant that is passed on by imports of all names",
        {
            "toy/feature.py": "from toy.two import *\ndef run():\n    return _N\n",
            "toy/two.py": "from toy.one import *\n__all__ = ['_N']\n",
            "toy/one.py": "_N = 1\n__all__ = ['_N']\n",
        },
        {"toy/one.py": "_N = 2\n__all__ = ['_N']\n"},
    ),
    replaced(
        "default of a function that a library may call",
        "import functools\ndef key(a, n=1):\n    return n\ndef run():\n    return sorted([1, 2], key=key)\n",
        "n=1",
        "n=2",
    ),
    replaced(
        "kind of a method",
        "class C:\n    @staticmethod\n    def f(*a):\n        return len(a)\ndef run():\n"
        "    return C().f()\n",
        "static",
        "class",
    ),
    subclass(
        "method of a class whose base looks through its subclasses",
        "class Base:\n    names = ()\n    def __init_subclass__(cls):\n        cls.names = tuple(vars(cls))\n"
        "    def count(self):\n        return len(self.names)\n",
    ),
    subclass(
        "method of a class whose metaclass looks through its space",
        "class Meta(type):\n    def __new__(mcs, name, bases, space):\n        space['total'] = len(space)\n"
        "        return super().__new__(mcs, name, bases, space)\n"
        "class Base(metaclass=Meta):\n    def count(self):\n        return self.total\n",
    ),
    subclass(
        "method of a class whose base is in a library that looks through it",
        "import json\nclass Base(json.JSONEncoder):\n    def count(self):\n        return 1\n",
    ),
    Case(
        "method that makes a class fit a protocol",
        {
            "toy/feature.py": "from toy.fit import C, P\ndef run():\n    return isinstance(C(), P)\n",
            "toy/fit.py": FITS + "C = make.C\n",
            "toy/make.py": "class C:\n    def f(self):\n        return 1\n",
        },
        {
            "toy/make.py": "class C:\n    def f(self):\n        return 1\n    def extra(self):\n"
            "        return 2\n"
        },
    ),
    replaced(
        "method that makes a class concrete",
        "import inspect\nfrom toy.base import Base\nclass C(Base):\n    n = 1\n"
        "def run():\n    return inspect.isabstract(C)\n",
        "n = 1\n",
        "n = 1\n" + METHOD,
        toy__base_dot_py="import abc\nclass Base(abc.ABC):\n    @abc.abstractmethod\n    def extra(self):\n"
        "        return 1\n",
    ),
    replaced(
        "function that a module lists while it is imported",
        "ALL = sorted(globals())\ndef run():\n    return ALL\n",
        "ALL =",
        "def more():\n    return 1\nALL =",
    ),
    Case(
        "constant of a module that has another name too",
        {
            "toy/feature.py": "from toy import one\nfrom toy.alias import _N as n\ndef run():\n"
            "    return n\n",
            "toy/one.py": "import sys\nsys.modules['toy.alias'] = sys.modules[__name__]\n_N = 1\n",
        },
        {"toy/one.py": "import sys\nsys.modules['toy.alias'] = sys.modules[__name__]\n_N = 2\n"},
    ),
    imports(
        "import of a module that another finder finds first",
        "from toy import finder\n",
        "from toy import finder\nfrom toy import early\n",
        finder="import sys\nfrom importlib.machinery import PathFinder\n"
        "sys.meta_path.insert(0, PathFinder)\n",
    ),
    replaced(
        "registry by dir() under its full name",
        "import builtins\nimport toy.feature as me\ndef run():\n    return len(builtins.dir(me))\n",
        "def run",
        "def extra():\n    pass\ndef run",
    ),
    replaced(
        "registry by dir() under another name",
        "from builtins import dir as found\nimport toy.feature as me\ndef run():\n"
        "    return len(found(me))\n",
        "def run",
        "def extra():\n    pass\ndef run",
    ),
    replaced(
        "function whose presence decides, by a table of names",
        "import toy.feature as me\nNAMES = ['fast', 'slow', 'other']\ndef run():\n"
        "    return hasattr(me, NAMES[0])\n",
        "def run",
        "def fast():\n    pass\ndef run",
    ),
    replaced(
        "source text that is read by a function of another name",
        "from inspect import getsource as text\n"
        + UNUSED.format(doc="pass", value=1)
        + "def run():\n    return text(unused)\n",
        "return 1",
        "return 2",
    ),
    replaced(
        "documentation that is read at import",
        UNUSED.format(doc="'one'", value=1) + "TEXT = unused.__doc__\ndef run():\n    return TEXT\n",
        "'one'",
        "'one two'",
    ),
    Case(
        "constant that a changed module imports with all names",
        {
            "toy/feature.py": "from toy.one import *\nM = _N + 1\ndef unused():\n    return 1\n"
            "def run():\n    return M\n",
            "toy/one.py": "__all__ = ['_N']\n_N = 1\n",
        },
        {
            "toy/feature.py": "from toy.one import *\nM = _N + 1\ndef unused():\n    return 2\n"
            "def run():\n    return M\n",
            "toy/one.py": "__all__ = ['_N']\n_N = 2\n",
        },
    ),
    subclass(
        "method of a class whose module is taken away",
        "import sys\nclass Base:\n    def count(self):\n        sys.modules.pop('toy.feature', None)\n",
    ),
    replaced(
        "documentation that is copied and read",
        UNUSED.format(doc="'one'", value=1)
        + "def run():\n    run.__doc__ = unused.__doc__\n    return len(run.__doc__)\n",
        "'one'",
        "'one two'",
    ),
    replaced(
        "documentation that is read into a variable",
        UNUSED.format(doc="'one'", value=1) + "class C:\n    pass\ndef run():\n    C.text = unused.__doc__\n",
        "'one'",
        "'one two'",
    ),
    replaced(
        "field of a named tuple",
        "from typing import NamedTuple\nclass C(NamedTuple):\n    a: int = 1\ndef run():\n"
        "    return C._fields\n",
        "a: int = 1\n",
        "a: int = 1\n    b: int = 2\n",
    ),
    replaced(
        "annotation that makes a field of a dataclass",
        "from dataclasses import dataclass, fields\n@dataclass\nclass C:\n    a: int\n"
        "def run():\n    return len(fields(C))\n",
        "a: int\n",
        "a: int\n    b: int\n",
    ),
    replaced(
        "annotation of a named tuple",
        "from typing import NamedTuple\nclass C(NamedTuple):\n    a: int\ndef run():\n"
        "    return len(C._fields)\n",
        "a: int\n",
        "a: int\n    b: int\n",
    ),
    replaced(
        "annotation that is read",
        "import inspect\ndef f(a: int):\n    return a\ndef run():\n    return str(inspect.signature(f))\n",
        "a: int",
        "a: float",
    ),
    replaced(
        "annotation that a decorator reads",
        "import functools\n@functools.singledispatch\ndef f(a):\n    return 1\n"
        "@f.register\ndef _(a: int):\n    return 2\ndef run():\n    return f(1)\n",
        "a: int",
        "a: float",
    ),
    replaced(
        "annotation of a class that is read",
        "class C:\n    a: int\ndef run():\n    return C.__annotations__\n",
        "a: int",
        "a: float",
    ),
    replaced(
        "annotation that is read at import",
        "from typing import get_type_hints\ndef f(a: int):\n    return a\nH = get_type_hints(f)\n"
        "def run():\n    return H\n",
        "a: int",
        "a: float",
    ),
    replaced(
        "annotation with an effect",
        "L = []\ndef f(a: L.append(1)):\n    return a\ndef run():\n    return L\n",
        "append(1)",
        "append(2)",
    ),
]

A, B = (f"    def step_{name}(self):\n        return {name!r}\n" for name in "ab")
ORDER_META = (
    "class Meta(type):\n    def __new__(mcs, name, bases, space):\n        space['order'] = list(space)\n"
    "        return super().__new__(mcs, name, bases, space)\nclass Base(metaclass=Meta):\n    pass\n"
)
UNUSED_OF = "def unused():\n    return {}\n"


def moved(name: str, source: str, first: str, second: str, **more: str) -> Case:
    """Two parts of toy/feature.py change places."""
    return replaced(name, source, first + second, second + first, **more)


OPTIONAL = (
    "try:\n    from toy import accel\n    LIMIT = accel.LIMIT\nexcept Exception:\n    LIMIT = 1\n"
    "def run():\n    return LIMIT\n"
)
LIMIT = "LIMIT = 5\n"
FAILURES = {
    "at an import": ("", "from typing import NoSuchThing\n"),
    "at an annotation": (
        "",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from toy.types import T\n"
        "def f(a: T):\n    return a\n",
    ),
    "at a constant": ("", "_X = 1 / 0\n"),
    "at an annotation of what comes later": (
        "class T:\n    pass\ndef f(a: T):\n    return a\n",
        "def f(a: T):\n    return a\nclass T:\n    pass\n",
    ),
}
NUMBER = "from decimal import Decimal as Number\n"
OTHER_NUMBER = "from fractions import Fraction as Number\n"
HINTS = "from typing import get_type_hints\n"
READ_ANNOTATIONS = {
    "of a function": HINTS + "def f(a: Number):\n    return a\ndef run():\n    return get_type_hints(f)\n",
    "as a text": HINTS + "def f(a: 'Number'):\n    return a\ndef run():\n    return get_type_hints(f)\n",
    "of a named tuple": "from typing import NamedTuple\nclass P(NamedTuple):\n    a: Number\n"
    "def run():\n    return P.__annotations__\n",
}
READS_ANOTHER_MODULE = (
    "from toy import one\n" + HINTS + "def f(a: one.Number):\n    return a\ndef unused():\n    return {}\n"
    "def run():\n    return get_type_hints(f)\n"
)
MIXIN = "class Mixin:\n    n = 1\n"
HOSTILE_FAILURES = [
    *(
        beside(
            f"optional module that fails {how}",
            OPTIONAL,
            "toy/accel.py",
            *("LIMIT = 5\n" + each for each in texts),
        )
        for how, texts in FAILURES.items()
    ),
    *(
        replaced(
            f"imported class in an annotation that is read, {how}", NUMBER + source, NUMBER, OTHER_NUMBER
        )
        for how, source in READ_ANNOTATIONS.items()
    ),
    Case(
        "imported class in an annotation of another changed module",
        {"toy/feature.py": READS_ANOTHER_MODULE.format(1), "toy/one.py": NUMBER},
        {"toy/feature.py": READS_ANOTHER_MODULE.format(2), "toy/one.py": OTHER_NUMBER},
    ),
    Case(
        "method of a mixin that makes a class one that can be made",
        {
            "toy/mix.py": MIXIN,
            "toy/base.py": "import abc\nclass Base(abc.ABC):\n    @abc.abstractmethod\n"
            "    def extra(self): ...\n",
            "toy/feature.py": "from toy.mix import Mixin\nfrom toy.base import Base\n"
            "class C(Mixin, Base):\n    pass\n"
            "def run():\n    try:\n        C()\n    except TypeError:\n        return 0\n    return 1\n",
        },
        {"toy/mix.py": MIXIN + "    def extra(self):\n        return 1\n"},
    ),
    Case(
        "method of a mixin of a library's class that looks for it",
        {
            "toy/mix.py": MIXIN,
            "toy/feature.py": "from configparser import ConfigParser\nfrom toy.mix import Mixin\n"
            "class P(Mixin, ConfigParser):\n    pass\ndef run():\n    return len(list(P().converters))\n",
        },
        {"toy/mix.py": MIXIN + "    def getlist(self, *a):\n        return 1\n"},
    ),
    replaced(
        "method by which isinstance finds a generator",
        "from collections.abc import Generator\nclass G:\n    def __iter__(self):\n        return self\n"
        "    def __next__(self):\n        return 1\n    def send(self, a):\n        return 1\n"
        "    def throw(self, *a):\n        return 1\n    x = 1\ndef run():\n"
        "    return isinstance(G(), Generator)\n",
        "    x = 1\n",
        "    x = 1\n    def close(self):\n        return 1\n",
    ),
    moved(
        "documentation that is moved to another function",
        "def f():\n    'x'\n    return 1\ndef g():\n    return 1\ndef run():\n    return f.__doc__\n",
        "    'x'\n",
        "    return 1\ndef g():\n",
    ),
    moved(
        "text that becomes documentation",
        "def f():\n    n = 1\n    'x'\n    return n\ndef run():\n    return f.__doc__\n",
        "    n = 1\n",
        "    'x'\n",
    ),
    moved(
        "__all__ behind an import that imports all names",
        "__all__ = ['a']\na = b = 1\nfrom toy import other\ndef run():\n    return other.COUNT\n",
        "__all__ = ['a']\na = b = 1\n",
        "from toy import other\n",
        toy__other_dot_py="from toy.feature import *\nCOUNT = len(vars())\n",
    ),
    Case(
        "__all__ behind an import of all names, alone",
        {
            "toy/feature.py": "a = b = 1\n__all__ = ['a']\nfrom toy import other\ndef run():\n"
            "    return other.b\n",
            "toy/other.py": "b = 2\nfrom toy.feature import *\n",
        },
        {
            "toy/feature.py": "a = b = 1\nfrom toy import other\n__all__ = ['a']\ndef run():\n"
            "    return other.b\n",
        },
    ),
]
HOSTILE_ORDER = [
    moved(
        "constant behind a call that sets it",
        "_N = 0\ndef setup():\n    global _N\n    _N = 1\nsetup()\ndef run():\n    return _N\n",
        "_N = 0\n",
        "def setup():\n    global _N\n    _N = 1\nsetup()\n",
    ),
    moved(
        "constant behind an import that looks for it",
        "_FAST = True\nfrom toy.other import work\ndef run():\n    return work()\n",
        "_FAST = True\n",
        "from toy.other import work\n",
        toy__other_dot_py="try:\n    from toy.feature import _FAST as fast\nexcept ImportError:\n"
        "    fast = False\n"
        "def work():\n    return fast\n",
    ),
    moved(
        "constant behind an import that sets it",
        "_LIMIT = 1\nimport toy.setup\ndef run():\n    return _LIMIT\n",
        "_LIMIT = 1\n",
        "import toy.setup\n",
        toy__setup_dot_py="from toy import feature as f\nf._LIMIT = 5\n",
    ),
    moved(
        "function behind an import that asks for it",
        "def _helper():\n    return 1\nfrom toy.other import work\ndef run():\n    return work()\n",
        "def _helper():\n    return 1\n",
        "from toy.other import work\n",
        toy__other_dot_py="import toy.feature as f\nHAS = hasattr(f, '_helper')\ndef work():\n"
        "    return HAS\n",
    ),
    moved(
        "standard import behind a patch",
        "from time import perf_counter as clock\nimport time\ntime.perf_counter = lambda: 0\n"
        "def run():\n    return clock()\n",
        "from time import perf_counter as clock\n",
        "import time\ntime.perf_counter = lambda: 0\n",
    ),
    moved(
        "second import of a module behind a statement that changes it",
        "from toy import state\nfrom toy.state import N as before\nfrom toy.state import N\nstate.N = 5\n"
        "def run():\n    return N\n",
        "from toy.state import N\n",
        "state.N = 5\n",
        toy__state_dot_py="N = 1\n",
    ),
    Case(
        "function of a package before the load of a submodule of its name",
        {
            "toy/feature.py": "import toy\nimport toy.work as w\ndef run():\n    return type(toy.work)\n",
            "toy/work.py": "N = 1\n",
            "toy/cli.py": "import toy.work\n",
            "toy/__init__.py": "from toy import cli\ndef work():\n    return 1\n",
        },
        {"toy/__init__.py": "def work():\n    return 1\nfrom toy import cli\n"},
    ),
    moved(
        "function before a table of what is there",
        "TABLE = [n for n in list(globals()) if n.startswith('do_')]\ndef do_b():\n    return 2\n"
        "def run():\n    return TABLE\n",
        "TABLE = [n for n in list(globals()) if n.startswith('do_')]\n",
        "def do_b():\n    return 2\n",
    ),
    moved(
        "constant behind an error of its name",
        "_e = 1\ntry:\n    raise ValueError\nexcept ValueError as _e:\n    pass\n"
        "def run():\n    return '_e' in globals()\n",
        "_e = 1\n",
        "try:\n    raise ValueError\nexcept ValueError as _e:\n    pass\n",
    ),
    moved(
        "methods in another order, listed",
        "class C:\n" + A + B + "def run():\n    return [n for n in vars(C) if n.startswith('step_')]\n",
        A,
        B,
    ),
    moved(
        "methods in another order, with a metaclass",
        "from toy.base import Base\nclass C(Base):\n" + A + B + "def run():\n    return C.order\n",
        A,
        B,
        toy__base_dot_py=ORDER_META,
    ),
    moved(
        "methods in another order, with a base that looks",
        "from toy.base import Base\nclass C(Base):\n" + A + B + "def run():\n    return C.order\n",
        A,
        B,
        toy__base_dot_py="class Base:\n    def __init_subclass__(cls):\n"
        "        cls.order = list(cls.__dict__)\n",
    ),
    moved(
        "constants in another order, listed",
        "import toy.feature as me\n_A = 1\n_B = 2\ndef run():\n    return list(vars(me))\n",
        "_A = 1\n",
        "_B = 2\n",
    ),
    moved(
        "functions in another order, sorted by their lines",
        "def a():\n    return 1\ndef b():\n    return 2\n"
        "def run():\n    return sorted([a, b], key=lambda f: f.__code__.co_firstlineno)[0]()\n",
        "def a():\n    return 1\n",
        "def b():\n    return 2\n",
    ),
    *(
        moved(
            f"annotations in another order, {how}",
            f"{imports}class P{base}:\n    a: int\n    b: int\n{after}def run():\n    return {result}\n",
            "    a: int\n",
            "    b: int\n",
        )
        for how, imports, base, after, result in (
            ("of a named tuple", "from typing import NamedTuple\n", "(NamedTuple)", "", "P(1, 2).a"),
            (
                "of a typed dict",
                "from typing import TypedDict\n",
                "(TypedDict)",
                "",
                "list(P.__annotations__)",
            ),
            ("of a dataclass", "from dataclasses import dataclass\n", "", "Q = dataclass(P)\n", "Q(1, 2).a"),
            ("that is read", "", "", "", "list(P.__annotations__)"),
        )
    ),
    beside(
        "__all__ in another order",
        "from toy import one\ndef run():\n    return one.__all__[0]\n",
        "toy/one.py",
        "__all__ = ['x', 'y']\nx = y = 1\n",
        "__all__ = ['y', 'x']\nx = y = 1\n",
    ),
    beside(
        "__all__ of another type",
        "from toy import one\ndef run():\n    return type(one.__all__)\n",
        "toy/one.py",
        "__all__ = ['x', 'y']\nx = y = 1\n",
        "__all__ = ('x', 'y')\nx = y = 1\n",
    ),
]
