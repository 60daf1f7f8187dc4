"""Check out and prepare both sides of a gate, before anything is timed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from perfsuite.errors import UsageError
from perfsuite.gate.descendants import adopted_orphans
from perfsuite.gate.fresh_copy import MAX_FILES, can_be_copied
from perfsuite.gate.git import Repository
from perfsuite.gate.interpreter import project_interpreter
from perfsuite.gate.launch import install_agent
from perfsuite.gate.pair_runner import PairRunner
from perfsuite.gate.project_layout import find_sources
from perfsuite.gate.settings import GateSettings
from perfsuite.gate.submodules import check_out_submodules
from perfsuite.gate.workspace import gate_workspace
from perfsuite.gate.worktree import (
    Worktree,
    add_worktree,
    copy_uncommitted,
    link_shared_files,
    refuse_in_place_extensions,
    refuse_outside_project,
    run_prepare_commands,
)

OnProgress = Callable[[str], None]


def ignore_progress(line: str) -> None:
    """Show no progress."""


@contextmanager
def open_pair_runner(
    here: Path, settings: GateSettings, rng: random.Random, on_progress: OnProgress = ignore_progress
) -> Iterator[PairRunner]:
    """A runner of pairs for the repository that `here` lies in; nothing of it remains afterward."""
    repository = Repository.at(here)
    with (
        gate_workspace(repository.git_directory) as workspace,
        adopted_orphans(),
        prepare_sides(repository, settings, workspace, rng, on_progress) as runner,
    ):
        yield runner


@contextmanager
def prepare_sides(
    repository: Repository,
    settings: GateSettings,
    workspace: Path,
    rng: random.Random,
    on_progress: OnProgress,
) -> Iterator[PairRunner]:
    """Check out and prepare both sides, before anything is timed."""
    base, head = repository.commit(settings.base), repository.commit(settings.head or "HEAD")
    uncommitted = () if settings.head else repository.uncommitted_files()
    if base == head and not uncommitted and not settings.null:
        raise UsageError(
            f"base and head are both {base[:12]}, expected two states to compare; "
            "name another --base, or use --null to test the machine"
        )
    if not settings.prepare:
        refuse_in_place_extensions(repository, find_sources(repository.project_root))
    python = project_interpreter(settings.python, repository)
    on_progress(f"python: {python}")
    worktrees = {}
    for side, commit, label in (("base", base, settings.base), ("head", head, settings.head or "HEAD")):
        on_progress(f"{side}: {commit[:12]} {label}")
        tree = add_worktree(repository, side, commit, workspace / side, label, python)
        is_working_tree = side == "head" and bool(uncommitted)
        worktrees[side] = _prepare_side(repository, settings, tree, is_working_tree, on_progress)
    has_fresh_copies = all(map(can_be_copied, worktrees.values()))
    if not has_fresh_copies:
        on_progress(f"each side stays in one folder: it is prepared, or has more than {MAX_FILES} files")
    runner = PairRunner(
        repository=repository,
        settings=settings,
        workspace=workspace,
        worktrees=worktrees,
        agent_path=install_agent(workspace),
        rng=rng,
        has_fresh_copies=has_fresh_copies,
    )
    try:
        yield runner
    finally:
        runner.fork_servers.close()


def _prepare_side(
    repository: Repository,
    settings: GateSettings,
    tree: Worktree,
    is_working_tree: bool,
    on_progress: OnProgress,
) -> Worktree:
    if is_working_tree:
        tree = copy_uncommitted(repository, tree)
        on_progress(f"{tree.side}: includes {len(tree.uncommitted_files)} uncommitted files")
    for problem in check_out_submodules(repository.root, tree.commit, tree.path, is_working_tree):
        on_progress(f"{tree.side}: {problem}")
    refuse_outside_project(tree)
    link_shared_files(repository, tree, settings.share)
    if settings.prepare:
        on_progress(f"{tree.side}: preparing ({'; '.join(settings.prepare)})")
    log = tree.path.with_name(f"{tree.side}-prepare.log")
    return run_prepare_commands(tree, settings.prepare, log)
