"""Imports run one way. Each rule names the file and the layer when one runs backwards."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "perfsuite"

# What a layer may import besides itself.
MAY_IMPORT = {
    "errors": set(),
    "paths": set(),
    "stages": set(),
    "transforms": {"errors", "stages"},
    "data": {"errors", "paths", "stages", "transforms"},
    "training": {"errors", "stages", "transforms", "data"},
    "measure": {"errors", "stages"},
    "judge": {"errors", "stages", "measure"},
    "store": {"errors", "paths", "stages", "measure", "judge"},
    "report": {"errors", "stages", "measure", "judge", "store"},
}
DOORS = {"gate", "advise", "pytest_plugin", "cli", "__init__", "__main__"}
FORBIDDEN_AT_IMPORT = {
    "measure": {"torch"},
    "judge": {"torch", "pytest"},
    "store": {"torch"},
    "report": {"torch"},
}
NO_FILES_NO_CLOCKS = {"time", "pathlib", "os", "io", "tempfile", "datetime"}


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def at_import_time(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imported(ast.Module([node], []))


def backward_imports(source: str, layer: str) -> list[str]:
    tree = ast.parse(source)
    wrong = []
    for name in imported(tree):
        parts = name.split(".")
        if parts[0] != "perfsuite" or len(parts) == 1 or layer not in MAY_IMPORT:
            continue
        if parts[1] not in MAY_IMPORT[layer] | {layer, "__version__"}:
            wrong.append(f"{layer} imports {name}")
    for name in at_import_time(tree):
        if name.split(".")[0] in FORBIDDEN_AT_IMPORT.get(layer, set()):
            wrong.append(f"{layer} imports {name} at import time")
    if layer == "judge":
        outside = (name for name in imported(tree) if name.split(".")[0] in NO_FILES_NO_CLOCKS)
        wrong += [f"judge imports {name}" for name in outside]
    return wrong


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    assert backward_imports(path.read_text(), layer_of(path)) == []


def test_every_layer_is_known() -> None:
    assert {layer_of(path) for path in FILES} <= set(MAY_IMPORT) | DOORS


@pytest.mark.parametrize(
    ("source", "layer"),
    [
        ("from perfsuite.training import step", "data"),
        ("import torch", "judge"),
        ("from perfsuite.data.synthetic.dataset import make", "measure"),
        ("import time", "judge"),
        ("def f():\n    from perfsuite.gate import arms", "store"),
    ],
)
def test_a_planted_backward_import_is_found(source: str, layer: str) -> None:
    assert backward_imports(source, layer)


def test_no_drawer_is_called_utils() -> None:
    assert not [path for path in FILES if path.stem in {"utils", "helpers", "common", "misc"}]


@pytest.mark.parametrize("command", ["--help", "compare --help", "baseline --help"])
def test_the_right_wing_answers_without_torch(command: str) -> None:
    code = (
        "import sys\nfrom perfsuite.cli import main\n"
        f"try:\n    main({command.split()!r})\nexcept SystemExit:\n    pass\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
