"""The order in which the rooms of perfsuite.training may import each other."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import perfsuite.training

ROOMS = ("models", "devices", "distributed", "step", "run", "inference")  # each may import those before it
FOLDER = Path(perfsuite.training.__file__).parent
PREFIX = "perfsuite.training."


def room_of(module: str) -> str:
    return module.removeprefix(PREFIX).split(".")[0]


def wrong_imports(module: str, source: str) -> list[str]:
    """The imports of later rooms, those inside functions and under TYPE_CHECKING included."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            # `from perfsuite.training import x` names the room only in `x`.
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    last_allowed = ROOMS.index(room_of(module))
    return [name for name in names if name.startswith(PREFIX) and ROOMS.index(room_of(name)) > last_allowed]


def test_no_room_imports_a_later_one() -> None:
    for path in sorted(FOLDER.rglob("*.py")):
        if path.parent == FOLDER and path.name == "__init__.py":
            continue
        module = PREFIX + ".".join(path.relative_to(FOLDER).with_suffix("").parts)
        assert wrong_imports(module, path.read_text()) == [], module


@pytest.mark.parametrize(
    "source",
    [
        "from perfsuite.training.run.trainer import Trainer",
        "import perfsuite.training.run.trainer",
        "from perfsuite.training import run",
        "def f():\n    from perfsuite.training.inference.export import export",
    ],
)
def test_a_planted_import_of_a_later_room_is_reported(source: str) -> None:
    assert wrong_imports("perfsuite.training.step.step", source)
    assert wrong_imports("perfsuite.training.inference.export", source) == []
