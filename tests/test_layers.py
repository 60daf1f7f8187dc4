"""The structure of the package: directions of imports, cycles, clocks, the agent, class names, light imports.

Every rule is a function from sources to findings, and each has a planted fault that it must find.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "perfsuite"

# What a layer may import besides itself. Doors may import everything.
FOUNDATION = {
    "errors",
    "stages",
    "paths",
    "atomic",
    "filesystems",
    "discovery",
    "user_objects",
    "toml_file",
    "cores",
    "signals",
}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "stages": set(),
    "paths": {"errors"},
    "atomic": {"errors", "paths"},
    "filesystems": {"errors"},
    "discovery": set(),
    "user_objects": {"errors"},
    "toml_file": {"errors"},
    "cores": set(),
    "transforms": FOUNDATION,
    "timer": set(),
    "signals": set(),
    "data": FOUNDATION | {"transforms", "timer"},
    "training": FOUNDATION | {"transforms", "data"},
    "measure": FOUNDATION,
    "judge": FOUNDATION | {"measure"},
    "store": FOUNDATION | {"measure", "judge"},
    "report": FOUNDATION | {"measure", "judge", "store"},
}
DOORS = {"pytest_entry_point", "gate", "advise", "pytest_plugin", "cli", "__init__", "__main__"}
LEFT_WING = {"transforms", "data", "training"}
RIGHT_WING = {"measure", "judge", "store", "report"}
HEAVY = ("torch", "torchvision", "cv2", "albumentations", "PIL", "numba", "matplotlib")
# Modules that judge/ may not import: it opens no file and reads no clock.
FILES_AND_CLOCKS = {"time", "pathlib", "os", "io", "tempfile", "datetime"}
# Modules of the left wing that import `time`, and why. They wait or give up; they measure nothing.
MAY_WAIT = {
    "perfsuite.training.distributed.ranks": "sleeps before leaving the process group: gloo threads end first",
}
# Modules of the left wing that choose by speed: a `timer` argument, with the default of perfsuite.timer.
MAY_CHOOSE_BY_TIME = {"perfsuite.data.decoding.auto", "perfsuite.data.engines.auto"}
# What runs inside a gated project's process may import only this, at import time.
AGENT_MAY_IMPORT = {"pytest", "_pytest", "pytest_benchmark"} | set(sys.stdlib_module_names)

Sources = Mapping[str, str]  # module name, such as perfsuite.data.loader: its source


def package_sources() -> Sources:
    sources = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        sources[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text()
    return sources


SOURCES = package_sources()
PACKAGES = {module for module in SOURCES if any(other.startswith(f"{module}.") for other in SOURCES)}


def layer_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def imports_of(module: str, tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Names of imported modules, with those that may be modules: `from a import b` gives a and a.b."""
    parts = module.split(".") if module in PACKAGES else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            origin = ".".join(part for part in (base, node.module) if part)
            yield origin, node.lineno
            yield from ((f"{origin}.{alias.name}", node.lineno) for alias in node.names)


def top_level_imports(module: str, tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imports_of(module, ast.Module([node], []))


def backward_imports(sources: Sources) -> list[str]:
    """Imports against the direction of the layers, wherever they stand."""
    backward = []
    for module, source in sources.items():
        layer = layer_of(module)
        for name, line in imports_of(module, ast.parse(source)):
            parts = name.split(".")
            if layer not in MAY_IMPORT or parts[0] != "perfsuite" or len(parts) == 1:
                continue
            if parts[1] not in MAY_IMPORT[layer] | {layer, "__version__"}:
                backward.append(f"{module}:{line}: {layer} imports {name}")
    return backward


def heavy_imports(sources: Sources) -> list[str]:
    """Heavy libraries that the core (right wing, gate, plugin, commands) imports at the top level."""
    light = RIGHT_WING | {"gate", "pytest_plugin", "cli"}
    return [
        f"{module}:{line}: imports {name} at import time"
        for module, source in sources.items()
        if layer_of(module) in light
        for name, line in top_level_imports(module, ast.parse(source))
        if name.split(".")[0] in HEAVY
        or (name.split(".")[:2][-1] in LEFT_WING and name.startswith("perfsuite."))
    ]


def clocks_and_files_in_judge(sources: Sources) -> list[str]:
    return [
        f"{module}:{line}: imports {name}"
        for module, source in sources.items()
        if layer_of(module) == "judge"
        for name, line in imports_of(module, ast.parse(source))
        if name.split(".")[0] in FILES_AND_CLOCKS
    ]


def clocks_in_the_left_wing(sources: Sources) -> list[str]:
    return [
        f"{module}:{line}: imports {name}"
        for module, source in sources.items()
        if layer_of(module) in LEFT_WING and module not in MAY_WAIT
        for name, line in imports_of(module, ast.parse(source))
        if name == "time" or (name == "perfsuite.timer" and module not in MAY_CHOOSE_BY_TIME)
    ]


def foreign_imports_of_the_agent(sources: Sources) -> list[str]:
    return [
        f"{module}:{line}: imports {name}"
        for module, source in sources.items()
        if module.startswith("perfsuite.gate.agent.")
        for name, line in top_level_imports(module, ast.parse(source))
        if name.split(".")[0] not in AGENT_MAY_IMPORT and not name.startswith("perfsuite.gate.agent")
    ]


def import_cycles(sources: Sources) -> list[list[str]]:
    """Groups of modules that import each other; imports in functions and under TYPE_CHECKING count."""
    graph = {
        module: {
            name
            for name, _ in imports_of(module, ast.parse(source))
            if name in sources and name != module and not module.startswith(f"{name}.")
        }
        for module, source in sources.items()
    }
    return strongly_connected(graph)


def strongly_connected(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Tarjan's algorithm; only groups of two and more."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group: list[str] = []
            while not group or group[-1] != node:
                group.append(stack.pop())
            if len(group) > 1:
                groups.append(sorted(group))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return sorted(groups)


def repeated_class_names(sources: Sources) -> dict[str, list[str]]:
    places = defaultdict(list)
    for module, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{module}:{node.lineno}")
    return {name: found for name, found in places.items() if len(found) > 1}


def test_imports_follow_the_layers() -> None:
    assert backward_imports(SOURCES) == []


def test_every_layer_is_known() -> None:
    assert {layer_of(module) for module in SOURCES} <= set(MAY_IMPORT) | DOORS


def test_the_core_imports_no_heavy_library_at_import_time() -> None:
    assert heavy_imports(SOURCES) == []


def test_judge_opens_no_file_and_reads_no_clock() -> None:
    assert clocks_and_files_in_judge(SOURCES) == []


def test_the_left_wing_reads_no_clock() -> None:
    assert clocks_in_the_left_wing(SOURCES) == []


def test_the_agent_needs_only_the_standard_library_and_pytest() -> None:
    assert foreign_imports_of_the_agent(SOURCES) == []


def test_no_modules_import_each_other() -> None:
    assert import_cycles(SOURCES) == []


def test_every_class_name_is_used_once() -> None:
    assert repeated_class_names(SOURCES) == {}


def test_no_module_is_called_utils() -> None:
    assert not [name for name in SOURCES if name.split(".")[-1] in {"utils", "helpers", "common", "misc"}]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("perfsuite.data.planted", "from perfsuite.training.step import step"),
        ("perfsuite.measure.planted", "from perfsuite.data.synthetic.dataset import make_dataset"),
        ("perfsuite.store.planted", "def f():\n    from perfsuite.gate import launch"),
        ("perfsuite.transforms.planted", "from perfsuite import judge"),
    ],
)
def test_a_planted_backward_import_is_found(module: str, source: str) -> None:
    assert backward_imports({module: source})


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("perfsuite.judge.planted", "import torch"),
        ("perfsuite.cli.planted", "import cv2.data"),
        ("perfsuite.gate.planted", "from perfsuite.training.models import make_model"),
    ],
)
def test_a_planted_heavy_import_is_found(module: str, source: str) -> None:
    assert heavy_imports({module: source})


def test_heavy_imports_inside_functions_are_allowed() -> None:
    assert not heavy_imports({"perfsuite.cli.planted": "def run():\n    import torch"})


def test_a_planted_clock_is_found() -> None:
    assert clocks_and_files_in_judge({"perfsuite.judge.planted": "from time import monotonic"})
    assert clocks_in_the_left_wing({"perfsuite.data.planted": "def f():\n    import time"})
    assert clocks_in_the_left_wing({"perfsuite.data.planted": "from perfsuite.timer import default_timer"})


def test_a_planted_import_of_the_agent_is_found() -> None:
    assert foreign_imports_of_the_agent({"perfsuite.gate.agent.planted": "import numpy"})


def test_a_planted_cycle_is_found() -> None:
    sources = {
        "perfsuite.a": "from perfsuite.b import f",
        "perfsuite.b": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from perfsuite.c import G",
        "perfsuite.c": "def h():\n    from perfsuite import a",
        "perfsuite.d": "import perfsuite.a",
    }
    assert import_cycles(sources) == [["perfsuite.a", "perfsuite.b", "perfsuite.c"]]


def test_a_planted_class_name_is_found() -> None:
    sources = {"perfsuite.a": "class One: ...", "perfsuite.b": "def f():\n    class One: ..."}
    assert repeated_class_names(sources) == {"One": ["perfsuite.a:1", "perfsuite.b:2"]}


LIGHT = [module for module in SOURCES if layer_of(module) in RIGHT_WING | {"gate", "pytest_plugin", "cli"}]
CHECK = "import importlib, sys\nfor name in {modules!r}:\n    importlib.import_module(name)\n{more}\n" + (
    "names = {{'torch', 'cv2', 'albumentations', 'PIL', 'numba', 'scipy', 'matplotlib'}}\n"
    "heavy = sorted(names & set(sys.modules))\n"
    "assert not heavy, heavy\n"
)


def import_in_a_process(modules: list[str], more: str = "") -> subprocess.CompletedProcess[str]:
    code = CHECK.format(modules=modules, more=more)
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def test_importing_the_core_loads_no_heavy_library() -> None:
    imported = import_in_a_process([name for name in LIGHT if not name.startswith("perfsuite.gate.agent")])
    assert imported.returncode == 0, imported.stderr


def test_a_planted_heavy_library_is_noticed() -> None:
    assert import_in_a_process(LIGHT[:1], "import cv2").returncode != 0
