"""pyproject.toml, as `perfsuite gate` reads it, and the project's layout."""

from __future__ import annotations

import os
import random
from pathlib import Path

from perfsuite.gate.project_layout import find_sources
from tests.fuzz.mutations import mutate_bytes
from tests.fuzz.target import FindingError, Target, run_command

SETTINGS = b"""
[tool.perfsuite.gate]
alpha = 0.02
tolerance = 0.01
mde = 0.05
max-pairs = 12
share = ["images"]
renames = {"a.py::a" = "a.py::b"}
[[tool.perfsuite.gate.quarantine]]
test = "a.py::*"
reason = "r"
expires = 2999-01-01
[[tool.perfsuite.gate.tolerances]]
test = "a.py::c"
tolerance = 0.1
reason = "r"
expires = 2999-01-01
"""
OTHER_TOOLS = b"""
[tool.setuptools]
package-dir = {"" = "src"}
[tool.setuptools.packages.find]
where = ["src"]
[tool.hatch.build.targets.wheel]
packages = ["src/toy"]
[tool.maturin]
python-source = "python"
[[tool.poetry.packages]]
from = "lib"
"""
VALUES = b"""nan inf -inf -1 0 1 1.5 1e400 true "" "x" [] {} [[]] [1] [{}] {a=1} 2000-01-01 07:32:00
'/etc' '../..' [1,'x'] {a={b=1}} 99999999999999999999 1e-320 "\\u0000" "\\u001b[31m"
"::error::x" [inf]""".split()


def mutate(rng: random.Random, data: bytes) -> bytes:
    """Give one key another value, or change bytes."""
    lines = data.split(b"\n")
    assigned = [n for n, line in enumerate(lines) if b" = " in line]
    if rng.random() < 0.3 or not assigned:
        return mutate_bytes(rng, data)
    for _ in range(rng.choice((1, 1, 2))):
        number = rng.choice(assigned)
        key = lines[number].partition(b" = ")[0]
        lines[number] = rng.choice((key, key, b"unknown", b"'\\u001b[31m'")) + b" = " + rng.choice(VALUES)
    return b"\n".join(lines)


def try_one(data: bytes, folder: Path) -> None:
    """The folder is no repository: right settings are a usage error of git, wrong ones one of theirs."""
    (folder / "pyproject.toml").write_bytes(data)
    os.chdir(folder)
    code, _, error = run_command("gate", "--base", "main")
    if code != 2 or not error.startswith("perfsuite gate: "):
        raise FindingError(f"gate: exit code {code}, expected 2: {error}")
    if "not a git repository" in error:
        find_sources(folder)


TARGET = Target("settings", lambda: [SETTINGS, SETTINGS + OTHER_TOOLS, OTHER_TOOLS], mutate, try_one)
