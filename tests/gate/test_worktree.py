"""Repositories as other people keep them: several projects, submodules, settings of their own, hooks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from perfsuite.errors import UsageError
from perfsuite.gate.gate import gate
from perfsuite.gate.git import Repository
from perfsuite.gate.submodules import check_out_submodules
from perfsuite.gate.worktree import Worktree, add_worktree, copy_uncommitted, link_shared_files
from perfsuite.judge.verdict import Outcome
from tests.gate.projects import (
    BENCHMARKS,
    Project,
    jobs,
    outcomes,
    quick_settings,
    src_layout,
    workload_named,
)

CHANGED = BENCHMARKS.replace("jobs.resize, 2", "jobs.resize, 9")


def test_benchmarks_with_settings_of_their_own_are_compared_with_themselves(project: Project) -> None:
    """Where pytest takes the folder for its root, node ids do not say where a file lies."""
    files = src_layout(**{"perf/pytest.ini": "[pytest]\n", "perf/test_jobs.py": BENCHMARKS})
    del files["benchmarks/test_jobs.py"]
    project.commit(files)
    project.commit({"perf/test_jobs.py": CHANGED})
    report = project.gate(pytest_args=("perf",))
    assert outcomes(report) == {"test_decode": Outcome.KEPT, "test_resize": Outcome.KEPT}
    assert workload_named(report, "test_resize").file == "perf/test_jobs.py"


def test_one_project_of_several_is_gated_from_its_folder(project: Project) -> None:
    files = {f"services/a/{name}": text for name, text in src_layout().items()}
    project.commit({**files, "services/b/test_other.py": BENCHMARKS, "conftest.py": ""})
    project.commit(
        {"services/a/src/toy/jobs.py": jobs(decode=0.0012), "services/a/benchmarks/test_jobs.py": CHANGED}
    )
    report = gate(quick_settings(), project.root / "services" / "a")
    assert outcomes(report) == {"test_decode": Outcome.REGRESSED, "test_resize": Outcome.KEPT}
    assert workload_named(report, "test_decode").file == "services/a/benchmarks/test_jobs.py"


def test_a_project_may_order_its_tests_by_the_cache_and_be_strict(project: Project) -> None:
    ini = "[pytest]\naddopts = --ff --strict-config\ncache_dir = .cache\nfilterwarnings = error\n"
    project.commit(src_layout(**{"pytest.ini": ini}))
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    report = project.gate()
    assert outcomes(report) == {"test_decode": Outcome.REGRESSED, "test_resize": Outcome.KEPT}


RANDOMLY = """
import os
from pathlib import Path


def pytest_addoption(parser):
    parser.addoption("--randomly-seed", dest="randomly_seed", default="default")


def pytest_runtest_setup(item):
    side, pair = os.environ["PERFSUITE_GATE_SIDE"], os.environ["PYTHONHASHSEED"]
    with Path(os.environ["TMPDIR"], "seeds").open("a") as file:
        file.write(f"{pair} {item.config.option.randomly_seed} {side}\\n")
"""


def test_both_sides_draw_the_same_random_data(project: Project) -> None:
    """A plugin that seeds every test takes the time for its seed."""
    project.commit(src_layout(**{"conftest.py": RANDOMLY}))
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    project.gate()
    told = [line.split() for line in Path(os.environ["TMPDIR"], "seeds").read_text().splitlines()]
    seeds = {
        side: {(pair, seed) for pair, seed, told_by in told if told_by == side} for side in ("base", "head")
    }
    assert seeds["base"] == seeds["head"]
    assert len({seed for _, seed in seeds["base"]}) == 3, "one for the counting and one for each pair"


def test_what_base_cannot_collect_is_not_new(project: Project) -> None:
    """Else a benchmark that base broke would be green for ever."""
    lame = BENCHMARKS.replace("from toy import", "from toy import later,")
    project.commit(src_layout(**{"benchmarks/test_lame.py": lame}))
    project.commit({"src/toy/later.py": ""})
    report = project.gate()
    lost = [found for found in report.workloads if "test_lame" in found.name]
    assert {found.outcome for found in lost} == {Outcome.ERROR}
    assert not report.skipped
    assert report.exit_code == 12
    (note,) = [note for note in report.notes if "collection failed" in note]
    assert note.startswith(
        "base: collection failed: benchmarks/test_lame.py: ImportError: cannot import name 'later'"
    )


def test_commits_of_base_that_head_lacks_are_told(project: Project) -> None:
    fork = project.commit(src_layout())
    project.commit({"src/toy/jobs.py": jobs(decode=0.0009)}, "base went on")
    project.git("checkout", "--quiet", "-b", "feature", fork)
    project.commit({"README": "1"})
    repository = Repository.at(project.root)
    head, base = repository.commit("feature"), repository.commit("main")
    assert "head lacks 1 commit of base" in repository.divergence_note(head, base)
    assert f"--base {fork[:12]}" in repository.divergence_note(head, base)
    assert repository.divergence_note(head, fork) == repository.lacks(fork, head) == ""


def test_inside_a_hook_the_commit_being_made_is_left_alone(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.commit(src_layout())
    project.commit({"README": "1"})
    index = project.root / ".git" / "index"
    before = index.read_bytes()
    for name, value in (("GIT_DIR", project.root / ".git"), ("GIT_INDEX_FILE", index), ("GIT_PREFIX", "")):
        monkeypatch.setenv(name, str(value))
    repository = Repository.at(project.root)
    add_worktree(repository, "base", repository.commit("HEAD~1"), project.root.parent / "base", "base")
    assert index.read_bytes() == before
    assert not (project.root.parent / "base" / "README").exists()


def worktree_of(project: Project, place: Path) -> tuple[Repository, Worktree]:
    project.git("worktree", "add", "--quiet", "--detach", str(place))
    return Repository.at(project.root), Worktree("head", place, place, "", "head")


def test_a_file_a_link_and_a_folder_may_take_each_others_place(project: Project) -> None:
    outside = project.root.parent / "outside"
    outside.mkdir()
    (outside / "x").write_text("the user's own")
    project.write({"file": "1", "folder/x": "1", "gone": "1"})
    (project.root / "link").symlink_to(outside)
    project.commit({})
    repository, tree = worktree_of(project, project.root.parent / "head")
    for name in ("file", "link", "gone", "folder/x"):
        (project.root / name).unlink()
    (project.root / "folder").rmdir()
    project.write({"file/x": "2", "folder": "2", "link/x": "2"})
    copy_uncommitted(repository, tree)
    found = {name: (tree.project_root / name).read_text() for name in ("file/x", "folder", "link/x")}
    assert set(found.values()) == {"2"}
    assert not (tree.project_root / "gone").exists()
    assert (outside / "x").read_text() == "the user's own"


def test_what_is_shared_lies_in_the_repository(project: Project) -> None:
    project.commit({"a/test_a.py": "", ".gitignore": "images\n"})
    project.write({"images/1.jpg": "", "a/weights": ""})
    (project.root.parent / "secrets").touch()
    repository, tree = worktree_of(project, project.root.parent / "head")
    link_shared_files(repository, tree, ["images", "a/../a/weights"])
    assert (tree.path / "images" / "1.jpg").exists()
    assert (tree.path / "a" / "weights").is_symlink()
    for name in ("../secrets", "a/../../secrets", "images/none", "."):
        with pytest.raises(UsageError, match="not found in"):
            link_shared_files(repository, tree, [name])


def test_what_base_lacks_is_new_though_its_file_was_named(project: Project) -> None:
    project.commit(src_layout())
    later = BENCHMARKS.replace("from toy import", "from toy import later,")
    project.commit({"benchmarks/test_later.py": later, "src/toy/later.py": ""})
    report = project.gate(pytest_args=("benchmarks/test_later.py",))
    assert outcomes(report) == {"test_decode": Outcome.NEW, "test_resize": Outcome.NEW}
    assert report.exit_code == 12


LEAVES = """
import atexit
import os
from pathlib import Path

import pytest
from toy import clock, jobs

mark = Path(os.environ["TMPDIR"], f"shared-{os.getpid()}")
mark.touch()
atexit.register(mark.unlink)


@pytest.mark.benchmark(timer=clock.now)
def test_decode(benchmark, tmp_path):
    (tmp_path / "image").write_text("")
    benchmark(jobs.decode)
"""


def test_what_tests_write_and_what_they_remove_at_exit_is_gone(project: Project) -> None:
    project.commit(src_layout(**{"benchmarks/test_jobs.py": LEAVES}))
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    assert set(outcomes(project.gate()).values()) == {Outcome.REGRESSED}
    left = [str(path) for path in Path(os.environ["TMPDIR"]).rglob("*") if path.is_file()]
    assert left == []
    assert not list(Path(os.environ["TMPDIR"]).glob("pytest-of-*"))


COST = """

from pathlib import Path

cost = int((Path(__file__).parents[2] / "libs" / "part" / "text").read_text())


def decode():
    work(0.001 * cost)
    return "decoded"
"""


@pytest.fixture
def with_submodule(project: Project) -> Project:
    """A project whose submodule has two commits, the first of which its own first commit means."""
    part = Project(project.root.parent / "part")
    part.root.mkdir()
    part.commit({"text": "1", "only/for.tests": "1", ".gitattributes": "only export-ignore\n"})
    project.commit(src_layout(**{"src/toy/jobs.py": jobs() + COST}))
    allowed = ("-c", "protocol.file.allow=always")
    project.git(*allowed, "submodule", "--quiet", "add", str(part.root), "libs/part")
    project.commit({}, "first")
    part.commit({"text": "2"})
    project.git("-C", "libs/part", *allowed, "pull", "--quiet")
    project.commit({}, "second")
    return project


@pytest.mark.parametrize(("commit", "text"), [("HEAD~1", "1"), ("HEAD", "2")])
def test_a_submodule_is_what_the_commit_says(
    with_submodule: Project, tmp_path: Path, commit: str, text: str
) -> None:
    assert check_out_submodules(with_submodule.root, commit, tmp_path / "side") == []
    laid = tmp_path / "side" / "libs" / "part"
    assert (laid / "text").read_text() == text
    assert (laid / "only" / "for.tests").exists()
    assert sorted(path.name for path in laid.parent.iterdir()) == ["part"]


def test_a_slower_submodule_is_found(with_submodule: Project) -> None:
    report = with_submodule.gate()
    assert outcomes(report) == {"test_decode": Outcome.REGRESSED, "test_resize": Outcome.KEPT}
    with_submodule.write({"libs/part/text": "3"})
    report = with_submodule.gate(base="HEAD", head=None)
    assert outcomes(report) == {"test_decode": Outcome.REGRESSED, "test_resize": Outcome.KEPT}


def test_uncommitted_changes_of_a_submodule_are_part_of_head(with_submodule: Project, tmp_path: Path) -> None:
    with_submodule.write({"libs/part/text": "3", "libs/part/new": "3"})
    assert check_out_submodules(with_submodule.root, "HEAD", tmp_path / "side", is_working_tree=True) == []
    laid = tmp_path / "side" / "libs" / "part"
    assert (laid / "text").read_text() == (laid / "new").read_text() == "3"
    assert check_out_submodules(with_submodule.root, "HEAD", tmp_path / "other") == []
    assert (tmp_path / "other" / "libs" / "part" / "text").read_text() == "2"


def test_a_submodule_that_is_not_here_is_named_with_the_cure(with_submodule: Project, tmp_path: Path) -> None:
    with_submodule.git("submodule", "--quiet", "deinit", "--force", "libs/part")
    (lack,) = check_out_submodules(with_submodule.root, "HEAD", tmp_path / "side")
    assert lack == "submodule libs/part is not here; git submodule update --init"


def test_a_commit_that_a_shallow_clone_lacks_is_named_with_the_cure(project: Project) -> None:
    first = project.commit(src_layout())
    project.commit({"README": "1"})
    shallow = project.root.parent / "shallow"
    project.git("clone", "--quiet", "--depth", "1", f"file://{project.root}", str(shallow))
    with pytest.raises(UsageError, match="shallow: fetch more"):
        gate(quick_settings(first, None), shallow)


def test_a_branch_may_have_any_name(project: Project) -> None:
    project.commit(src_layout())
    project.git("branch", "größe/it's-#1")
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    report = project.gate(base="größe/it's-#1")
    assert report.base.label == "größe/it's-#1"
    assert outcomes(report)["test_decode"] is Outcome.REGRESSED


def test_tests_may_have_any_name(project: Project) -> None:
    names = ["a b", "it's", '"', "ü", "<b>|", "x::y", "[1]", "%0A", "a/b"]
    test = f"""
@pytest.mark.parametrize("name", {names!r})
def test_named(benchmark, name):
    benchmark(jobs.decode)
"""
    project.commit(
        src_layout(**{"benchmarks/test_jobs.py": BENCHMARKS.partition("def test_decode")[0] + test})
    )
    project.commit({"README": "1"})
    report = project.gate(max_pairs=4)
    assert len(report.workloads) == len(names)
    assert {found.outcome for found in report.workloads} == {Outcome.KEPT}


def test_variables_of_one_checkout_do_not_reach_the_arms(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(project.root.parent / "cache"))
    monkeypatch.setenv("GIT_PREFIX", "somewhere/")
    told = "import os\nassert not {'PYTHONPYCACHEPREFIX', 'GIT_PREFIX'} & set(os.environ)\n"
    project.commit(src_layout(**{"conftest.py": told}))
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    assert outcomes(project.gate()) == {"test_decode": Outcome.REGRESSED, "test_resize": Outcome.KEPT}
