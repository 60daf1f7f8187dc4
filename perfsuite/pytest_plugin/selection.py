"""Whether a pytest run measures the whole suite or a part of it: a part must not become a baseline."""

from __future__ import annotations

from pathlib import Path

import pytest


def describe_selection(config: pytest.Config, deselected_count: int) -> str:
    """Why the run is a part of the suite; empty where it is all of it.

    A file is a part where its folder has other test files that are not named too.
    """
    if deselected_count:
        return f"{deselected_count} benchmarks were left out"
    folder = config.invocation_params.dir
    named = [folder / argument.partition("::")[0] for argument in config.args]
    for argument in config.args:
        if "::" in argument:
            return f"only {argument} was run"
    for file in named:
        if file.is_file() and (others := _other_test_files(config, file, named)):
            return f"{file.name} was run without {others[0].name}"
    return ""


def _other_test_files(config: pytest.Config, file: Path, named: list[Path]) -> list[Path]:
    patterns: list[str] = config.getini("python_files")
    siblings = {each for pattern in patterns for each in file.parent.glob(pattern) if "/" not in pattern}
    known = {each.resolve() for each in named}
    return sorted(each for each in siblings if each.resolve() not in known)
