"""Settings of a gate from its options and pyproject.toml."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from perfsuite.cli.gate_options import add_gate_arguments, gate_settings
from perfsuite.gate.settings import GateSettings
from perfsuite.judge.sequential_rule import MOST_PAIRS


def settings_of(folder: Path, *words: str) -> GateSettings:
    parser = argparse.ArgumentParser()
    add_gate_arguments(parser, harness="head")
    return gate_settings(parser.parse_args(words), folder, base="HEAD")


@pytest.mark.parametrize(
    ("words", "pairs"),
    [
        ((), 24),
        (("--mde", "0.02"), MOST_PAIRS),
        (("--mde", "0.02", "--max-pairs", "30"), 30),
        (("--mde", "0.1"), 24),
    ],
)
def test_a_small_mde_allows_more_pairs_unless_they_are_given(
    tmp_path: Path, words: tuple[str, ...], pairs: int
) -> None:
    assert settings_of(tmp_path, *words).max_pairs == pairs


def test_the_pairs_of_the_project_are_kept(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.perfsuite.gate]\nmde = 0.02\nmax-pairs = 40\n")
    assert settings_of(tmp_path).max_pairs == 40
    (tmp_path / "pyproject.toml").write_text("[tool.perfsuite.gate]\nmde = 0.02\n")
    assert settings_of(tmp_path).max_pairs == MOST_PAIRS
