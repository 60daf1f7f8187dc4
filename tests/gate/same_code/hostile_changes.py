"""Changes of what runs or of what it works on, most of them outside the functions that run."""

from __future__ import annotations

import _json
from pathlib import Path

from tests.gate.same_code.changes import HERE, UNUSED, beside, replaced
from tests.gate.same_code.hostile_definitions import HOSTILE_DEFINITIONS, HOSTILE_FAILURES, HOSTILE_ORDER
from tests.gate.same_code.hostile_lookups import HOSTILE_LOOKUPS
from tests.gate.same_code.small_projects import Case

LIBRARY = Path(_json.__file__).read_bytes()

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

HOSTILE = [
    *HOSTILE_DEFINITIONS,
    *HOSTILE_FAILURES,
    *HOSTILE_ORDER,
    *HOSTILE_LOOKUPS,
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
        "import subprocess, sys\ndef run():\n"
        "    subprocess.run([sys.executable, '-c', 'import toy.child'], check=True)\n",
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
