"""Names that differ and are found in unusual ways."""

from __future__ import annotations

from tests.gate.same_code.changes import HERE, beside, replaced
from tests.gate.same_code.hostile_definitions import REGISTRY, UNUSED_OF, imports
from tests.gate.same_code.small_projects import Case

BACKEND = "from decimal import Decimal as Backend\n"
OTHER_BACKEND = "from decimal import Context as Backend\n"
FIND = "def find(path):\n    import operator\n    import toy\n    get = operator.attrgetter\n"
"    return get(path)(toy)\n"
ME = "import toy.feature as me\n"
PRESENT = ("def run", "_n = 2\ndef run")  # a constant is added
HOSTILE_LOOKUPS = [
    replaced(
        "constant, by getattr as a default",
        ME + "def find(n, get=getattr):\n    return get(me, '_' + n, 0)\ndef run():\n    return find('n')\n",
        *PRESENT,
    ),
    replaced(
        "constant, by getattr under another name",
        ME + "get = getattr\ndef run():\n    return get(me, '_' + 'n'.lower(), 0)\n",
        *PRESENT,
    ),
    replaced(
        "constant, by getattr in a table",
        ME + "OPS = {'attr': getattr}\ndef run():\n    return OPS['attr'](me, '_' + 'n'.lower(), 0)\n",
        *PRESENT,
    ),
    replaced(
        "constant, by getattr as an argument",
        ME + "def look(o, n, by):\n    return by(o, n, 0)\n"
        "def run():\n    return look(me, '_' + 'n'.lower(), by=getattr)\n",
        *PRESENT,
    ),
    replaced(
        "constant, by getattr in a generator beside a lambda",
        ME + "def run(names=('n', 'm')):\n"
        "    return max((getattr(me, f'_{n}', 0) for n in names), key=lambda v: v)\n",
        *PRESENT,
    ),
    replaced(
        "constant, by attrgetter",
        ME + "from operator import attrgetter\n_n = 1\ndef run(n='n'):\n    return attrgetter('_' + n)(me)\n",
        "_n = 1",
        "_n = 2",
    ),
    replaced(
        "constant, by attrgetter under another name",
        ME + "from operator import attrgetter as get\n_n = 1\ndef run(n='n'):\n    return get('_' + n)(me)\n",
        "_n = 1",
        "_n = 2",
    ),
    replaced(
        "method, by methodcaller",
        "from operator import methodcaller\nclass C:\n    n = 1\ndef run(n='fast'):\n    try:\n"
        "        return methodcaller(n + '_x')(C())\n    except AttributeError:\n        return 0\n",
        "n = 1\n",
        "n = 1\n    def fast_x(self):\n        return 2\n",
    ),
    replaced(
        "method, by __getattribute__",
        "class C:\n    n = 1\n    def go(self, n):\n        return self.__getattribute__('do_' + n)\n"
        "def run():\n    try:\n        return C().go('x')\n    except AttributeError:\n        return 5\n",
        "n = 1\n",
        "n = 1\n    def do_x(self):\n        return 1\n",
    ),
    replaced(
        "method, by getattr_static",
        "import inspect\nclass C:\n    n = 1\ndef run(n='x'):\n"
        "    return inspect.getattr_static(C, 'do_' + n, None)\n",
        "n = 1\n",
        "n = 1\n    def do_x(self):\n        return 1\n",
    ),
    replaced(
        "constant, by the path of its name",
        "from pkgutil import resolve_name\n_N = 1\ndef run():\n    return resolve_name('toy.feature:_N')\n",
        "_N = 1",
        "_N = 2",
    ),
    replaced(
        "imported class, by its path in a configuration",
        "import logging.config\nfrom logging import StreamHandler as Handler\nCONFIG = {'version': 1, "
        "'handlers': {'h': {'class': 'toy.feature.Handler'}}}\n"
        "def run():\n    logging.config.dictConfig(CONFIG)\n",
        "import StreamHandler as",
        "import NullHandler as",
    ),
    replaced(
        "constant, by a format",
        ME + "_N = 1\ndef run():\n    return 'of {m._N}'.format(m=me)\n",
        "_N = 1",
        "_N = 2",
    ),
    replaced(
        "constant, by attrgetter of a path",
        "import toy.feature\nimport toy\nfrom operator import attrgetter\n_N = 1\n"
        "def run():\n    return attrgetter('feature._N')(toy)\n",
        "_N = 1",
        "_N = 2",
    ),
    replaced(
        "constant, by a local class",
        "_N = 1\ndef run():\n    class C:\n        n = _N\n    return C.n\n",
        "1",
        "2",
    ),
    replaced(
        "import, by a local class",
        "from math import floor as rounded\ndef run():\n    class C:\n        f = rounded\n"
        "    return C.f(1.5)\n",
        "floor as",
        "ceil as",
    ),
    replaced(
        "constant, by a local dataclass",
        "from dataclasses import dataclass\n_SIZE = 1\ndef run():\n    @dataclass\n    class K:\n"
        "        n: int = _SIZE\n    return K().n\n",
        "_SIZE = 1",
        "_SIZE = 2",
    ),
    replaced(
        "method, by a mock",
        "from unittest.mock import Mock\nclass C:\n    n = 1\ndef run():\n"
        "    return len(dir(Mock(spec=C)))\n",
        "n = 1\n",
        "n = 1\n    def more(self):\n        return 1\n",
    ),
    replaced(
        "method, by all members",
        "from inspect import getmembers_static as members\nclass C:\n    n = 1\n"
        "def run():\n    return len(members(C))\n",
        "n = 1\n",
        "n = 1\n    def more(self):\n        return 1\n",
    ),
    Case(
        "imported class, by a pickle",
        {
            "toy/feature.py": HERE + "import pickle\nfrom decimal import Decimal as Number\n"
            "def run():\n    return type(pickle.loads((ROOT / 'x.pkl').read_bytes()))\n",
            "toy/x.pkl": b"ctoy.feature\nNumber\n(V1\ntR.",
        },
        {
            "toy/feature.py": HERE + "import pickle\nfrom fractions import Fraction as Number\n"
            "def run():\n    return type(pickle.loads((ROOT / 'x.pkl').read_bytes()))\n",
        },
    ),
    Case(
        "object of a package that hides a module of its name",
        {
            "toy/feature.py": "import toy.config as cfg\ndef run():\n    return cfg.size\n",
            "toy/config.py": "size = 1\nclass Config:\n    size = 2\nconfig = Config()\n",
            "toy/__init__.py": "from toy.config import Config\n",
        },
        {"toy/__init__.py": "from toy.config import Config, config\n"},
    ),
    *(
        Case(
            f"name that a package passes on, {how}",
            {
                "toy/feature.py": use + UNUSED_OF.format(1) + "def run():\n    return n\n",
                "toy/__init__.py": "from toy.consts import *\n",
                "toy/consts.py": "from toy import v1, v2\nfrom toy.v1 import SIZE\n",
                "toy/v1.py": "SIZE = 1\n",
                "toy/v2.py": "SIZE = 2\n",
            },
            {
                "toy/feature.py": use + UNUSED_OF.format(2) + "def run():\n    return n\n",
                "toy/consts.py": "from toy import v1, v2\nfrom toy.v2 import SIZE\n",
            },
        )
        for how, use in (
            ("imported by a changed module", "from toy import SIZE as n\n"),
            ("used at import by a changed module", "from toy import SIZE\nn = SIZE * 2\n"),
        )
    ),
    Case(
        "constant of a module that has another name too, imported by a changed module",
        {
            "toy/feature.py": "from toy import one\nfrom toy.alias import _N as n\n"
            + UNUSED_OF.format(1)
            + "def run():\n    return n\n",
            "toy/one.py": "import sys\nsys.modules['toy.alias'] = sys.modules[__name__]\n_N = 1\n",
        },
        {
            "toy/feature.py": "from toy import one\nfrom toy.alias import _N as n\n"
            + UNUSED_OF.format(2)
            + "def run():\n    return n\n",
            "toy/one.py": "import sys\nsys.modules['toy.alias'] = sys.modules[__name__]\n_N = 2\n",
        },
    ),
    Case(
        "import of __all__",
        {
            "toy/feature.py": "x = 1\nfrom toy.mid import *\ndef run():\n    return x\n",
            "toy/mid.py": "from toy.one import x, y\n",
            "toy/one.py": "x = 2\ny = 3\n__all__ = ['y']\n",
        },
        {"toy/mid.py": "from toy.one import x, y, __all__\n"},
    ),
    Case(
        "import of a module's __getattr__",
        {
            "toy/feature.py": "from toy import api, other\ndef run():\n    other.X\n    try:\n"
            "        return api.X\n"
            "    except AttributeError:\n        return 0\n",
            "toy/lazy.py": "def __getattr__(name):\n    return 1\n",
            "toy/other.py": "from toy.lazy import __getattr__\n",
            "toy/api.py": "from toy import lazy\n",
        },
        {"toy/api.py": "from toy import lazy\nfrom toy.lazy import __getattr__\n"},
    ),
    imports(
        "import of a name that loads a module of a computed name",
        "from toy.api import Early\n",
        "from toy.api import Early, Late\n",
        api="import importlib\ndef __getattr__(name):\n    if name.startswith('_'):\n"
        "        raise AttributeError(name)\n"
        "    return importlib.import_module('toy.' + name.lower())\n",
    ),
    Case(
        "project's module of the name of a standard one",
        {
            **REGISTRY,
            "statistics.py": "from toy import registry\nregistry.FOUND.append(3)\n",
            "toy/feature.py": "from toy import registry\ndef run():\n    return registry.FOUND\n",
        },
        {
            "toy/feature.py": "import statistics\nfrom toy import registry\ndef run():\n"
            "    return registry.FOUND\n"
        },
    ),
    replaced(
        "decorator of the name of a builtin",
        "from toy.reg import property, FOUND\nclass C:\n    pass\ndef run():\n    return len(FOUND)\n",
        "def run",
        "class D:\n    @property\n    def b(self):\n        return 1\ndef run",
        toy__reg_dot_py="FOUND = []\ndef property(f):\n    FOUND.append(f)\n    return f\n",
    ),
    *(
        replaced(
            f"method that makes an abstract class one that can be made, {how}",
            f"{start}class C(Base):\n    n = 1\n{more}def run():\n    try:\n        C()\n"
            "    except TypeError:\n        return 0\n    return 1\n",
            "n = 1\n",
            f"n = 1\n    def {name}(self, *a):\n        return 2\n",
            toy__base_dot_py="import abc\nclass Base(abc.ABC):\n    @abc.abstractmethod\n"
            "    def extra(self): ...\n",
        )
        for how, start, more, name in (
            ("of the project", "from toy.base import Base\n", "", "extra"),
            (
                "of the standard library",
                "from collections.abc import Generator as Base\n",
                "    def send(self, v):\n        return 1\n",
                "throw",
            ),
        )
    ),
    replaced(
        "annotation, by Signature",
        "from inspect import Signature\ndef f(a: int):\n    return a\n"
        "def run():\n    return str(Signature.from_callable(f))\n",
        "a: int",
        "a: float",
    ),
    replaced(
        "annotation, by a registered method",
        "from functools import singledispatchmethod\nclass K:\n    @singledispatchmethod\n"
        "    def f(self, a):\n"
        "        return 1\n    def other(self, a: int):\n        return 2\n    f.register(other)\n"
        "def run():\n    return K().f(1)\n",
        "a: int",
        "a: float",
    ),
    Case(
        "annotation, by an import hook",
        {
            "toy/feature.py": "def f(a: int):\n    return a\ndef run():\n    return f(1)\n",
            "toy/__init__.py": "from beartype.claw import check_all\ncheck_all()\n",
            ".venv/site-packages/beartype/__init__.py": "",
            ".venv/site-packages/beartype/claw.py": "import sys\nclass Finder:\n"
            "    def find_spec(self, *a):\n        return None\n"
            "def check_all():\n    sys.meta_path.insert(0, Finder())\n",
        },
        {"toy/feature.py": "def f(a: float):\n    return a\ndef run():\n    return f(1)\n"},
    ),
    beside(
        "size of a data file",
        HERE + "import os\ndef run():\n    return os.path.getsize(ROOT / 't.bin')\n",
        "toy/t.bin",
        b"1",
        b"123",
    ),
    Case(
        "executable bit",
        {
            "toy/feature.py": HERE + "import os\ndef run():\n    return os.access(ROOT / 'tool', os.X_OK)\n",
            "toy/tool": "",
        },
        {"toy/tool": ""},
        executable=("toy/tool",),
    ),
    Case(
        "object of a package, by an import in a module of many names",
        {
            "toy/feature.py": "".join(f"v{i} = {i}\n" for i in range(300))
            + "import toy.config as cfg\nSIZE = cfg.size\ndef run():\n    return SIZE\n",
            "toy/config.py": "size = 1\nclass Config:\n    size = 2\nconfig = Config()\n",
            "toy/__init__.py": "from toy.config import Config\n",
        },
        {"toy/__init__.py": "from toy.config import Config, config\n"},
    ),
    *(
        replaced(
            f"imported class, by its path in {how}",
            f"{BACKEND}import toy\n{source}",
            BACKEND,
            OTHER_BACKEND,
            init=FIND,
        )
        for how, source in (
            ("a constant", "_PATH = 'feature.Backend'\ndef run():\n    return toy.find(_PATH)\n"),
            (
                "a default",
                "def chosen(path='feature.Backend'):\n    return toy.find(path)\ndef run():\n"
                "    return chosen()\n",
            ),
        )
    ),
    replaced(
        "constant, by a format from a file",
        HERE + "import toy.feature as me\n_N = 1\ndef run():\n"
        "    return (ROOT / 't.txt').read_text().format(m=me)\n",
        "_N = 1",
        "_N = 2",
        toy__t_dot_txt="{m._N}",
    ),
    replaced(
        "constant, by a path from a file",
        HERE + "from pkgutil import resolve_name\n_N = 1\ndef run():\n"
        "    return resolve_name((ROOT / 't.txt').read_text())\n",
        "_N = 1",
        "_N = 2",
        toy__t_dot_txt="toy.feature:_N",
    ),
    replaced(
        "constant, by getattr with its arguments in a tuple",
        ME + "from unittest.mock import patch\ndef run(n='n'):\n    try:\n"
        "        with patch.object(me, '_' + n, 5):\n            return 1\n"
        "    except AttributeError:\n        return 0\n",
        *PRESENT,
    ),
    replaced(
        "constant, by pydoc",
        ME + "from pydoc import locate\n_N = 1\ndef run(n='N'):\n    return locate('toy.feature._' + n)\n",
        "_N = 1",
        "_N = 2",
    ),
    replaced(
        "method, by dir of builtins under another name",
        "import builtins as b\nclass C:\n    n = 1\ndef run():\n    return len(b.dir(C))\n",
        "n = 1\n",
        "n = 1\n    def more(self):\n        return 1\n",
    ),
    replaced(
        "method, by __dir__",
        "class C:\n    n = 1\ndef run():\n    return len(C().__dir__())\n",
        "n = 1\n",
        "n = 1\n    def more(self):\n        return 1\n",
    ),
    replaced(
        "function, by the globals of another",
        "def run():\n    return len(run.__globals__)\n",
        "def run",
        "def more():\n    return 1\ndef run",
    ),
    beside(
        "file that is made unless it is there",
        HERE + "def run():\n    try:\n        open(ROOT / 'made', 'x').close()\n    except FileExistsError:\n"
        "        return 1\n    return 0\n",
        "toy/made",
        None,
        "",
    ),
    Case(
        "file in a folder of data of a package",
        {
            "toy/feature.py": "from importlib import resources\ndef run():\n"
            "    return len(list(resources.files('toy.data').iterdir()))\n",
            "toy/data/a.txt": "1",
        },
        {"toy/data/b.txt": "2"},
    ),
]
