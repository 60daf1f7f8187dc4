"""The history on a terminal: one line for each benchmark at 80 columns, what is slower last."""

from __future__ import annotations

import numpy as np
import pytest
from rich.cells import cell_len

from perfsuite.report.history.links import ForgeLinks
from perfsuite.report.history.sparkline import render_sparkline
from perfsuite.report.history.terminal import render_history
from tests.report.history.sample_history import SLOWER, STEP, a_report, commit_hash


def lines(width: int = 80) -> list[str]:
    return render_history(a_report(), width, color=False).splitlines()


@pytest.mark.parametrize("width", [80, 100, 200])
def test_each_benchmark_has_one_line_within_the_width(width: int) -> None:
    text = lines(width)
    assert sum("older[threads]" in line and "benchmarks/" not in line for line in text) == 1
    assert max(map(cell_len, text)) <= width


def test_the_last_change_is_said_in_words() -> None:
    text = "\n".join(lines())
    assert f"+8.2 % at {commit_hash(STEP)[:7]}, 12 ago" in text
    assert "drift in 149 commits" in text
    assert "steady ±0." in text


def test_what_is_slower_comes_last_with_its_commits_and_a_link() -> None:
    text = lines(120)
    place = next(number for number, line in enumerate(text) if line.endswith(SLOWER))
    assert f"{commit_hash(STEP - 1)[:9]}..{commit_hash(STEP)[:9]}" in text[place + 1]
    assert f"/compare/{commit_hash(STEP - 1)[:12]}...{commit_hash(STEP)[:12]}" in text[place + 2]
    assert text[-1] == "4 benchmarks over 150 commits: 2 slower lately"


def test_without_a_forge_there_is_no_link() -> None:
    assert "http" not in render_history(a_report(links=ForgeLinks()), 120, color=False)


def test_left_out_runs_are_counted() -> None:
    assert "2 runs of uncommitted changes left out" in lines()[1]


def test_names_cannot_control_the_terminal() -> None:
    columns = {"test_a.py::test[\x1b[31m]": np.full(5, 0.1)}
    assert "\x1b[31m" not in render_history(a_report(columns), 80, color=False)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [([1.0] * 16, "▄▄▄▄"), ([1.0, 1.0, 2.0, 2.0], "▁▁██"), ([1.0], "▄"), ([1.0, 1.001] * 4, "▄▄▄▄")],
)
def test_a_sparkline_shows_changes_and_not_noise(seconds: list[float], expected: str) -> None:
    assert render_sparkline(np.array(seconds), 4).replace("▅", "▄") == expected


@pytest.mark.parametrize(
    "remote",
    [
        "",
        "/srv/git/a.git",
        "file:///srv/a",
        "https://github.com/only-owner",
        "javascript:alert(1)",
        "git@h:../../x/y",
    ],
)
def test_an_unknown_remote_has_no_links(remote: str) -> None:
    assert ForgeLinks.of_remote(remote).repository == ""


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("git@github.com:o/n.git", "https://github.com/o/n/compare/c0ffee1...c0ffee2"),
        (
            "ssh://git@gitlab.example.com:2222/o/n",
            "https://gitlab.example.com/o/n/-/compare/c0ffee1...c0ffee2",
        ),
        ("https://token@bitbucket.org/o/n", "https://bitbucket.org/o/n/branches/compare/c0ffee2..c0ffee1"),
        ("https://codeberg.org/o/n.git", "https://codeberg.org/o/n/compare/c0ffee1...c0ffee2"),
    ],
)
def test_ranges_are_linked(remote: str, address: str) -> None:
    assert ForgeLinks.of_remote(remote).range("c0ffee1", "c0ffee2") == address
    assert ForgeLinks.of_remote(remote).range("c0ffee1", "") == ""
    assert ForgeLinks.of_remote(remote).commit("../../evil") == ""
