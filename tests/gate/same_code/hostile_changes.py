"""Changes of what runs or of what it works on, most of them outside the functions that run."""

from __future__ import annotations

import _json
from pathlib import Path

from tests.gate.same_code.small_projects import Case, Files

LIBRARY = Path(_json.__file__).read_bytes()


def feature(name: str, base: str, head: str, **more: str | bytes) -> Case:
    """A change of toy/feature.py; `more` are further files of both sides."""
    files: Files = {key.replace("__", "/").replace("_dot_", "."): value for key, value in more.items()}
    return Case(name, {**files, "toy/feature.py": base}, {"toy/feature.py": head})


def replaced(name: str, source: str, old: str, new: str, **more: str | bytes) -> Case:
    """A change of one text in toy/feature.py."""
    assert old in source, name
    return feature(name, source, source.replace(old, new), **more)


def beside(name: str, source: str, file: str, base: str | bytes | None, head: str | bytes | None) -> Case:
    """A change of another file, which `source` in toy/feature.py uses; None: the side lacks it."""
    files: Files = {"toy/feature.py": source} | ({} if base is None else {file: base})
    return Case(name, files, {} if head is None else {file: head}, removed=(file,) if head is None else ())


HERE = "from pathlib import Path\nROOT = Path(__file__).parent\n"
UNUSED = "def unused():\n    {doc}\n    return {value}\n"

# Its `run` mentions only another name than the one that it imports.
IMPORTS_WHAT_IS_THERE = """
try:
    from toy.other import _SIZE as chosen
except ImportError:
    chosen = 1


def unused():
    return {value}


def run():
    return chosen
"""

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
        maker="def __getattr__(name):\n    from toy import registry\n    registry.FOUND.append(name)\n    return 1\n",  # noqa: E501
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
            "toy/feature.py": "from toy.one import _N as n\ndef unused():\n    return 1\ndef run():\n    return n\n",  # noqa: E501
            "toy/one.py": "_N = 1\n",
        },
        {
            "toy/feature.py": "from toy.one import _N as n\ndef unused():\n    return 2\ndef run():\n    return n\n",  # noqa: E501
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
        "class C:\n    @staticmethod\n    def f(*a):\n        return len(a)\ndef run():\n    return C().f()\n",  # noqa: E501
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
            "toy/make.py": "class C:\n    def f(self):\n        return 1\n    def extra(self):\n        return 2\n"  # noqa: E501
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
            "toy/feature.py": "from toy import one\nfrom toy.alias import _N as n\ndef run():\n    return n\n",  # noqa: E501
            "toy/one.py": "import sys\nsys.modules['toy.alias'] = sys.modules[__name__]\n_N = 1\n",
        },
        {"toy/one.py": "import sys\nsys.modules['toy.alias'] = sys.modules[__name__]\n_N = 2\n"},
    ),
    imports(
        "import of a module that another finder finds first",
        "from toy import finder\n",
        "from toy import finder\nfrom toy import early\n",
        finder="import sys\nfrom importlib.machinery import PathFinder\nsys.meta_path.insert(0, PathFinder)\n",  # noqa: E501
    ),
    replaced(
        "registry by dir() under its full name",
        "import builtins\nimport toy.feature as me\ndef run():\n    return len(builtins.dir(me))\n",
        "def run",
        "def extra():\n    pass\ndef run",
    ),
    replaced(
        "registry by dir() under another name",
        "from builtins import dir as found\nimport toy.feature as me\ndef run():\n    return len(found(me))\n",  # noqa: E501
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
            "toy/feature.py": "from toy.one import *\nM = _N + 1\ndef unused():\n    return 1\ndef run():\n    return M\n",  # noqa: E501
            "toy/one.py": "__all__ = ['_N']\n_N = 1\n",
        },
        {
            "toy/feature.py": "from toy.one import *\nM = _N + 1\ndef unused():\n    return 2\ndef run():\n    return M\n",  # noqa: E501
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
        "from typing import NamedTuple\nclass C(NamedTuple):\n    a: int = 1\ndef run():\n    return C._fields\n",  # noqa: E501
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
        "from typing import NamedTuple\nclass C(NamedTuple):\n    a: int\ndef run():\n    return len(C._fields)\n",  # noqa: E501
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

HOSTILE = [
    *HOSTILE_DEFINITIONS,
    Case(
        "private constant that a changed module imports where it is there",
        {"toy/feature.py": IMPORTS_WHAT_IS_THERE.format(value=1), "toy/other.py": ""},
        {
            "toy/feature.py": IMPORTS_WHAT_IS_THERE.format(value=2),
            "toy/other.py": "_SIZE = 2\n",
        },
    ),
    replaced("private constant", "_SIZE = 10\ndef run():\n    return _SIZE\n", "10", "20"),
    replaced(
        "private constant that hides a name of another module",
        "from toy.other import *\ndef run():\n    return _n\n",
        "def run",
        "_n = 2\ndef run",
        toy__other_dot_py="__all__ = ['_n']\n_n = 1\n",
    ),
    replaced(
        "private constant that another module's re makes",
        "from toy import other as re\ndef run():\n    return re.made\n",
        "def run",
        "_n = re.compile('a')\ndef run",
        toy__other_dot_py="made = []\ncompile = made.append\n",
    ),
    replaced(
        "private constant that is read by its name",
        "import toy.feature as m\ndef run():\n    return getattr(m, '_' + 'n', 0)\n",
        "def run",
        "_n = 2\ndef run",
    ),
    replaced(
        "public constant that is added, as to settings",
        "def run():\n    return 1\n",
        "def run",
        "N = 2\ndef run",
    ),
    replaced(
        "private constant of what a call returns",
        "def run():\n    return 1\n",
        "def run",
        "_n = open(__file__).close()\ndef run",
    ),
    replaced("constant", "SIZE = 10\ndef run():\n    return SIZE\n", "10", "20"),
    replaced("default", "def f(n=3):\n    return n\ndef run():\n    return f()\n", "3", "4"),
    replaced("keyword default", "def f(*, n=3):\n    return n\ndef run():\n    return f()\n", "3", "4"),
    replaced(
        "closure",
        "def make(n):\n    return lambda: n\nf = make(2)\ndef run():\n    return f()\n",
        "make(2)",
        "make(3)",
    ),
    replaced(
        "decorator",
        "import functools\n@functools.lru_cache\ndef f():\n    return 1\ndef run():\n    return f()\n",
        "@functools.lru_cache\n",
        "",
    ),
    replaced("class attribute", "class C:\n    n = 1\ndef run():\n    return C.n\n", "n = 1", "n = 2"),
    replaced(
        "enum member",
        "import enum\nclass E(enum.Enum):\n    A = 1\ndef run():\n    return E.A.value\n",
        "A = 1",
        "A = 2",
    ),
    replaced(
        "dataclass field",
        "from dataclasses import dataclass\n@dataclass\nclass D:\n    n: int = 1\n"
        "def run():\n    return D().n\n",
        "= 1",
        "= 2",
    ),
    replaced(
        "metaclass",
        "class M(type):\n    def __new__(cls, name, bases, space):\n        space['n'] = 1\n"
        "        return super().__new__(cls, name, bases, space)\nclass C(metaclass=M):\n    pass\n"
        "def run():\n    return C.n\n",
        "= 1",
        "= 2",
    ),
    replaced(
        "module __getattr__",
        "def __getattr__(name):\n    return 1\ndef run():\n    import toy.feature as m\n    return m.n\n",
        "1",
        "2",
    ),
    replaced(
        "__getattr__ that is added and never called",
        "class C:\n    n = 1\ndef run():\n    return C().n\n",
        "n = 1\n",
        "n = 1\n    def __getattr__(self, name):\n        return 2\n",
    ),
    replaced("__slots__", "class C:\n    pass\ndef run():\n    return C()\n", "pass", "__slots__ = ()"),
    replaced(
        "regex flag",
        "import re\nP = re.compile('a+')\ndef run():\n    return P.match('A')\n",
        "'a+'",
        "'a+', re.I",
    ),
    replaced(
        "lambda in a table",
        "T = {'f': lambda: 1}\ndef run():\n    return T['f']()\n",
        "lambda: 1",
        "lambda: 2",
    ),
    replaced(
        "nested function",
        "def run():\n    def inner():\n        return 1\n    return inner()\n",
        "return 1",
        "return 2",
    ),
    replaced("generator", "def g():\n    yield 1\ndef run():\n    return list(g())\n", "yield 1", "yield 2"),
    replaced(
        "property",
        "class C:\n    @property\n    def n(self):\n        return 1\ndef run():\n    return C().n\n",
        "return 1",
        "return 2",
    ),
    replaced(
        "thread",
        "import threading\ndef work():\n    return 1\ndef run():\n    t = threading.Thread(target=work)\n"
        "    t.start()\n    t.join()\n",
        "return 1",
        "return 2",
    ),
    replaced(
        "environment variable that is set",
        "import os\nos.environ['TOY_MODE'] = 'slow'\ndef run():\n    return os.environ['TOY_MODE']\n",
        "slow",
        "fast",
    ),
    beside(
        "environment file",
        HERE + "def run():\n    return (ROOT / '.env').read_text()\n",
        "toy/.env",
        "MODE=1",
        "MODE=2",
    ),
    beside(
        "lazy import",
        "def run():\n    from toy import lazy\n    return lazy.f()\n",
        "toy/lazy.py",
        "def f():\n    return 1\n",
        "def f():\n    return 2\n",
    ),
    beside(
        "installed dependency",
        "import dep\ndef run():\n    return dep.f()\n",
        ".venv/site-packages/dep.py",
        "def f():\n    return 1\n",
        "def f():\n    return 2\n",
    ),
    beside(
        "monkeypatch",
        "from toy import patch\nimport json\ndef run():\n    return json.dumps({})\n",
        "toy/patch.py",
        "import json\n",
        "import json\njson.dumps = lambda value: '{}'\n",
    ),
    beside(
        "conftest",
        "import conftest\nimport os\ndef run():\n    return os.environ.get('TOY')\n",
        "conftest.py",
        "import os\n",
        "import os\nos.environ.setdefault('TOY', '1')\n",
    ),
    beside(
        "data file",
        HERE + "def run():\n    return (ROOT / 'table.json').read_text()\n",
        "toy/table.json",
        "[1]",
        "[1, 2]",
    ),
    beside(
        "data file that an extension reads",
        HERE + "import ctypes\nC = ctypes.CDLL(None)\ndef run():\n"
        "    C.close(C.open(str(ROOT / 'image.jpg').encode(), 0))\n",
        "toy/image.jpg",
        b"\xff\xd8",
        b"\xff\xd8\xff",
    ),
    beside(
        "extension",
        HERE + "import ctypes\ndef run():\n    try:\n        ctypes.PyDLL(str(ROOT / 'native.so'))\n"
        "    except OSError:\n        pass  # built for another Python\n",
        "toy/native.so",
        LIBRARY,
        LIBRARY + b"\0",
    ),
    beside(
        "generated module",
        "from toy import _generated\ndef run():\n    return _generated.TABLE\n",
        "toy/_generated.py",
        "TABLE = (1, 2)\n",
        "TABLE = (1, 2, 3)\n",
    ),
    replaced(
        "generated code",
        "TEMPLATE = 'def f():\\n    return 1'\nspace = {}\nexec(TEMPLATE, space)\n"
        "def run():\n    return space['f']()\n",
        "return 1",
        "return 2",
    ),
    beside(
        "executed file",
        HERE + "def run():\n    exec((ROOT / 'part.inc').read_text())\n",
        "toy/part.inc",
        "x = 1",
        "x = 2",
    ),
    beside(
        "flag file that is never opened",
        HERE + "def run():\n    return (ROOT / 'fast.flag').exists()\n",
        "toy/fast.flag",
        None,
        "",
    ),
    beside(
        "flag file that os.path looks up",
        HERE + "import os\ndef run():\n    return os.path.isfile(str(ROOT / 'fast.flag'))\n",
        "toy/fast.flag",
        "",
        None,
    ),
    Case(
        "entry of a folder",
        {
            "toy/feature.py": HERE + "import os\ndef run():\n    return len(os.listdir(ROOT / 'plugins'))\n",
            "toy/plugins/a.txt": "",
        },
        {"toy/plugins/b.txt": ""},
    ),
    beside(
        "module that is looked for",
        "from importlib.util import find_spec\nHAS = find_spec('toy._fast') is not None\n"
        "def run():\n    return HAS\n",
        "toy/_fast.py",
        None,
        "",
    ),
    beside(
        "optional module",
        "try:\n    from toy import _fast\nexcept ImportError:\n    _fast = None\n"
        "def run():\n    return _fast\n",
        "toy/_fast.py",
        None,
        "X = 1\n",
    ),
    replaced(
        "builtin shadowed by an import",
        "import os\ndef run():\n    return pow(2, 3)\n",
        "import os\n",
        "import os\nfrom math import pow\n",
    ),
    replaced(
        "builtin shadowed by a function",
        "def run():\n    return len('a')\n",
        "def run",
        "def len(x):\n    return 1\ndef run",
    ),
    replaced(
        "function whose presence decides",
        "import toy.feature as me\ndef run():\n    return hasattr(me, 'fast')\n",
        "def run",
        "def fast():\n    pass\ndef run",
    ),
    replaced(
        "function whose presence decides, under a computed name",
        "import toy.feature as me\ndef run():\n    return hasattr(me, 'fa' + str('st'))\n",
        "def run",
        "def fast():\n    pass\ndef run",
    ),
    replaced(
        "registry by dir()",
        "import toy.feature as me\ndef run():\n    return len(dir(me))\n",
        "def run",
        "def extra():\n    pass\ndef run",
    ),
    replaced(
        "registry of subclasses",
        "class B:\n    found = []\n    def __init_subclass__(cls):\n        B.found.append(cls)\n"
        "def run():\n    return len(B.found)\n",
        "def run",
        "class D(B):\n    pass\ndef run",
    ),
    replaced(
        "method that overrides",
        "class B:\n    def f(self):\n        return 1\nclass D(B):\n    n = 1\n"
        "def run():\n    return D().f()\n",
        "n = 1\n",
        "n = 1\n    def f(self):\n        return 2\n",
    ),
    replaced(
        "source text that is read",
        "import inspect\n"
        + UNUSED.format(doc="pass", value=1)
        + "def run():\n    return inspect.getsource(unused)\n",
        "return 1",
        "return 2",
    ),
    replaced(
        "code object that is read",
        UNUSED.format(doc="pass", value=1) + "def run():\n    return unused.__code__.co_consts\n",
        "return 1",
        "return 2",
    ),
    replaced(
        "documentation that is read",
        UNUSED.format(doc="'one'", value=1) + "def run():\n    return len(unused.__doc__)\n",
        "'one'",
        "'one two'",
    ),
    replaced(
        "order of statements",
        "L = []\nL.append(1)\nL.append(2)\ndef run():\n    return L\n",
        "L.append(1)\nL.append(2)\n",
        "L.append(2)\nL.append(1)\n",
    ),
    replaced(
        "future import",
        "def f(x: int):\n    return x\ndef run():\n    return f(1)\n",
        "def f",
        "from __future__ import annotations\ndef f",
    ),
    beside(
        "import of all names",
        "from toy.names import *\ndef run():\n    return max(1, 2)\n",
        "toy/names.py",
        "import os\n",
        "import os\ndef max(a, b):\n    return b\n",
    ),
    beside(
        "other process",
        "import subprocess, sys\ndef run():\n    subprocess.run([sys.executable, '-c', 'import toy.child'], check=True)\n",  # noqa: E501
        "toy/child.py",
        "X = 1\n",
        "X = 2\n",
    ),
    beside(
        "forked process",
        "import os\ndef run():\n    pid = os.fork()\n    if not pid:\n        import toy.child\n"
        "        os._exit(0)\n    os.waitpid(pid, 0)\n",
        "toy/child.py",
        "X = 1\n",
        "X = 2\n",
    ),
    beside(
        "function that a module-level call runs",
        "from toy import tables\ndef run():\n    return tables.T\n",
        "toy/tables.py",
        "def build():\n    return 1\nT = build()\n",
        "def build():\n    return 2\nT = build()\n",
    ),
    Case(
        "target of a link",
        {
            "toy/feature.py": HERE + "def run():\n    return (ROOT / 'link').read_text()\n",
            "toy/a": "1",
            "toy/b": "2",
        },
        {},
        links={"toy/link": ("a", "b")},
    ),
]
