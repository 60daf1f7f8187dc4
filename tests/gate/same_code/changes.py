"""Short ways to write a change of a small project."""

from __future__ import annotations

from tests.gate.same_code.small_projects import Case, Files


def feature(name: str, base: str, head: str, **more: str | bytes) -> Case:
    """A change of toy/feature.py; `more` are further files of both sides, `init` the package's own."""
    files: Files = {_path(key): value for key, value in more.items()}
    return Case(name, {**files, "toy/feature.py": base}, {"toy/feature.py": head})


def _path(key: str) -> str:
    """The file that a keyword stands for: `toy__one_dot_py` is toy/one.py."""
    return "toy/__init__.py" if key == "init" else key.replace("__", "/").replace("_dot_", ".")


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
