"""Luck of a checkout, as of its path, does not stay with one side."""

from __future__ import annotations

import math
import os
import random
import sys
from collections import Counter
from pathlib import Path

import pytest

from perfsuite.gate import fresh_copy as fresh_copy_module
from perfsuite.gate.fresh_copy import can_be_copied, fresh_copy
from perfsuite.gate.worktree import Worktree
from perfsuite.judge.machine_fitness import NULL_PAIRS, unfit_workloads
from perfsuite.judge.sequential_rule import SequentialRule, decide
from perfsuite.judge.verdict import Outcome
from tests.gate.projects import CLOCK, MAKE_ENVIRONMENT, Project, jobs, outcomes, src_layout

LUCK = math.log(1.03)  # a checkout with bad luck is 3 % slower
GATES = 100


def gate_outcome(rng: random.Random, is_drawn_anew: bool, change: float = 0.0) -> str:
    """One workload's outcome in a simulated gate, where half of all checkouts have bad luck.

    Where luck is not drawn anew, head's checkout has it and base's has not, and null pairs share base's.
    """

    def log_ratio(is_null: bool) -> float:
        lucky = rng.randrange(2) - rng.randrange(2) if is_drawn_anew else int(not is_null)
        return lucky * LUCK + (0 if is_null else change) + rng.gauss(0, 0.01)

    if unfit_workloads({"t": [log_ratio(is_null=True) for _ in range(NULL_PAIRS)]}, tolerance=0.01):
        return "unfit"
    rule = SequentialRule(workloads=1)
    log_ratios = [log_ratio(is_null=False) for _ in range(rule.max_pairs)]
    return str(decide(rule, log_ratios, is_final=True).outcome)


def simulated_outcomes(is_drawn_anew: bool, change: float = 0.0) -> Counter[str]:
    rng = random.Random(30)
    return Counter(gate_outcome(rng, is_drawn_anew, change) for _ in range(GATES))


def test_lasting_luck_that_is_drawn_anew_in_each_pair_raises_no_alarm() -> None:
    found = simulated_outcomes(is_drawn_anew=True)
    assert found["regressed"] + found["improved"] <= 0.05 * GATES


def test_lasting_luck_of_one_checkout_raises_an_alarm() -> None:
    """The negative control."""
    assert simulated_outcomes(is_drawn_anew=False)["regressed"] >= 0.95 * GATES


def test_a_change_is_found_beside_luck_that_is_drawn_anew() -> None:
    assert simulated_outcomes(is_drawn_anew=True, change=math.log(1.1))["regressed"] >= 0.95 * GATES


# Folders whose names end in an odd digit are 30 % slower. `head` does, and `base` does not.
LUCK_BY_PATH = CLOCK + (
    "\nfrom pathlib import Path\n\nPROCESS *= 1 + 0.3 * (int(Path(__file__).parents[2].name[-1], 16) % 2)\n"
)


@pytest.mark.parametrize("has_fresh_copies", [True, False])
def test_a_gate_does_not_take_luck_of_a_path_for_a_slowdown(
    project: Project, monkeypatch: pytest.MonkeyPatch, has_fresh_copies: bool
) -> None:
    """Without copies, the negative control, it does."""
    project.commit(src_layout(**{"src/toy/clock.py": LUCK_BY_PATH}))
    project.commit({"README": "nothing that matters"})
    monkeypatch.setattr("perfsuite.gate.prepare_sides.can_be_copied", lambda tree: has_fresh_copies)
    report = project.gate(pytest_args=("-k", "decode"), alpha=0.1, max_pairs=5, seed=30)
    assert (outcomes(report)["test_decode"] is Outcome.REGRESSED) is not has_fresh_copies
    assert not report.unfit


RECORD_ROOT = """
import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def record_root():
    names = "PYTHONHASHSEED", "PERFSUITE_GATE_SIDE", "PERFSUITE_GATE_ROOT"
    with Path(os.environ["TMPDIR"], "roots").open("a") as file:
        file.write(" ".join(os.environ[name] for name in names) + "\\n")
"""


def roots_of_pairs() -> list[dict[str, str]]:
    """By pair, in order: the folder in which each side ran its first test."""
    pairs: dict[str, dict[str, str]] = {}
    for line in Path(os.environ["TMPDIR"], "roots").read_text().splitlines():
        seed, side, root = line.split()
        pairs.setdefault(seed, {}).setdefault(side, root)
    return list(pairs.values())


def test_each_timed_process_runs_in_a_folder_of_its_own(project: Project) -> None:
    """Null pairs too: both of their processes run base, in two folders."""
    project.commit(src_layout(**{"conftest.py": RECORD_ROOT}))
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    assert outcomes(project.gate(null_workloads=1))["test_decode"] is Outcome.REGRESSED
    counting, *timed = roots_of_pairs()
    assert {side: Path(root).name for side, root in counting.items()} == {"base": "base", "head": "head"}
    assert len(timed) == 2 + NULL_PAIRS
    roots = [root for pair in (counting, *timed) for root in pair.values()]
    assert len(set(roots)) == len(roots), "no path holds the code of two processes"
    assert len({len(root) for pair in timed for root in pair.values()}) == 1
    assert not any(Path(root).exists() for root in roots)


def test_a_prepared_side_stays_where_its_environment_was_built(project: Project) -> None:
    project.commit(src_layout(**{"conftest.py": RECORD_ROOT, "build.py": MAKE_ENVIRONMENT}))
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    report = project.gate(prepare=(f"{sys.executable} build.py",))
    assert outcomes(report)["test_decode"] is Outcome.REGRESSED
    roots = [(side, Path(root).name) for pair in roots_of_pairs() for side, root in pair.items()]
    assert set(roots) == {("base", "base"), ("head", "head")}


def test_a_large_checkout_stays_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = Worktree("head", tmp_path, tmp_path, "", "head")
    for number in range(4):
        (tmp_path / f"{number}").touch()
    monkeypatch.setattr(fresh_copy_module, "MAX_FILES", 4)
    assert can_be_copied(tree)
    monkeypatch.setattr(fresh_copy_module, "MAX_FILES", 3)
    assert not can_be_copied(tree)


@pytest.mark.parametrize("has_links", [True, False])
def test_a_copy_has_the_same_files_times_and_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    path = tmp_path / "head"
    (path / "project").mkdir(parents=True)
    (path / "project" / "jobs.py").write_text("1")
    (path / "inside").symlink_to("project/jobs.py")
    (path / "outside").symlink_to(tmp_path / "absent")
    if not has_links:
        monkeypatch.setattr(os, "link", lambda source, target: (tmp_path / "absent").stat())
    tree = Worktree("head", path, path / "project", "", "head")
    with fresh_copy(tree, random.Random(1)) as copy:
        assert copy.project_root == copy.path / "project"
        assert copy.path.parent == path.parent
        source, copied = (each.project_root / "jobs.py" for each in (tree, copy))
        assert copied.stat().st_mtime_ns == source.stat().st_mtime_ns, "bytecode stays valid"
        assert copied.samefile(source) is has_links
        assert [str((copy.path / name).readlink()) for name in ("inside", "outside")] == [
            "project/jobs.py",
            str(tmp_path / "absent"),
        ]
        (copy.path / "new").write_text("written by a test")
        copied.unlink()
    assert not copy.path.exists()
    assert sorted(entry.name for entry in path.iterdir()) == ["inside", "outside", "project"]
    assert (path / "project" / "jobs.py").read_text() == "1"
