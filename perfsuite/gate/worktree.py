"""The two sides as files: a worktree for each, prepared before anything is timed."""

from __future__ import annotations

import os
import random
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from perfsuite.errors import UsageError
from perfsuite.gate.agent import plugin
from perfsuite.gate.project_layout import ProjectSources, clear_path, find_sources
from perfsuite.gate.workspace import RUN_VARIABLE
from perfsuite.paths import link_on_the_way, resolves_inside

AGENT_PACKAGE = "_perfsuite_agent"
# Set for the process that started the gate, and wrong for another in another folder.
GIT_LOCATION_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX")
EXCLUDED_VARIABLES = (
    *("PYTEST_CURRENT_", "PYTEST_XDIST_", "COV_CORE_", "COVERAGE_"),
    "PYTHONPYCACHEPREFIX",  # bytecode goes when the side's folder goes
    *GIT_LOCATION_VARIABLES,
)
EXTENSION_SUFFIXES = (".so", ".pyd", ".dylib")


@dataclass(frozen=True, slots=True)
class Repository:
    """A git repository and the place in it that the gate was started from."""

    root: Path
    git_directory: Path  # the common one, also when started in a worktree
    project_subfolder: Path = Path()  # the project's folder, where there are several

    @property
    def project_root(self) -> Path:
        return self.root / self.project_subfolder

    @classmethod
    def at(cls, place: Path) -> Repository:
        root = Path(git_output(place, "rev-parse", "--show-toplevel", who=str(place)))
        common = git_output(place, "rev-parse", "--path-format=absolute", "--git-common-dir", who=str(place))
        return cls(root, Path(common), place.resolve().relative_to(root.resolve()))

    def commit(self, revision: str) -> str:
        """The full hash of a revision."""
        if revision.startswith("-"):
            raise UsageError(f"{revision}: looks like an option, expected a commit, branch or tag")
        done = run_git(self.root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
        if done.returncode:
            shallow = git_output(self.root, "rev-parse", "--is-shallow-repository", who="git") == "true"
            cure = "this clone is shallow: fetch more (fetch-depth: 0)" if shallow else "fetch it, or mend it"
            raise UsageError(f"{revision}: not a commit of {self.root.name}; {cure}")
        return done.stdout.strip()

    def has_file(self, commit: str, file: str) -> bool:
        return run_git(self.root, "cat-file", "-e", f"{commit}:{file}").returncode == 0

    def subject(self, commit: str) -> str:
        return git_output(self.root, "show", "--no-patch", "--format=%s", commit, who=commit)

    def uncommitted_files(self) -> tuple[str, ...]:
        """Files of the working tree that differ from HEAD or are new and not ignored."""
        return changed_files(self.root, "HEAD")

    def divergence_note(self, head: str, base: str) -> str:
        """What to know where the two have parted; empty where one is a part of the other."""
        fork = run_git(self.root, "merge-base", base, head).stdout.strip()
        if fork in {base, head, ""}:
            return ""
        number = int(git_output(self.root, "rev-list", "--count", f"{head}..{base}", who=base))
        return (
            f"head lacks {number} commit{'s' * (number > 1)} of base, and what they changed counts as head's "
            f"doing; merge them, or take --base {fork[:12]}, where the two parted"
        )


def changed_files(place: Path, commit: str) -> tuple[str, ...]:
    """Files of a working tree that differ from a commit or are new and not ignored."""
    differing = git_output(place, "diff", "--name-only", "--no-renames", "-z", commit, who="git")
    new = git_output(place, "ls-files", "--others", "--exclude-standard", "-z", who="git")
    return tuple(sorted({name for name in (differing + "\0" + new).split("\0") if name}))


@dataclass(frozen=True, slots=True)
class Worktree:
    """The sources of one side, where they lie, and the interpreter that runs them."""

    side: str
    path: Path
    root: Path  # the project's folder in it
    commit: str
    label: str
    uncommitted_files: tuple[str, ...] = ()
    python: str = sys.executable
    is_prepared: bool = False

    @property
    def is_dirty(self) -> bool:
        return bool(self.uncommitted_files)


def add_worktree(repository: Repository, side: str, commit: str, place: Path, label: str) -> Worktree:
    """A worktree at `place`. Hooks of the repository are not run."""
    words = ["-c", f"core.hooksPath={os.devnull}", "worktree", "add", "--detach", "--quiet"]
    # Marked, so that one which outlives a killed gate is found and ended before its traces are removed.
    git_output(repository.root, *words, str(place), commit, who=label, **{RUN_VARIABLE: place.parent.name})
    return Worktree(side, place, place / repository.project_subfolder, commit, label)


def copy_uncommitted(repository: Repository, tree: Worktree) -> Worktree:
    """Lay the working tree's uncommitted changes over a checkout of its HEAD."""
    changed = repository.uncommitted_files()
    copy_files(repository.root, tree.path, changed)
    if not changed:
        return tree
    label = f"{tree.label} with {len(changed)} uncommitted file{'s' * (len(changed) > 1)}"
    return replace(tree, label=label, uncommitted_files=changed)


def copy_files(source_root: Path, target_root: Path, changed: Sequence[str]) -> None:
    """Make these files of one tree what they are in another, and remove those that are no longer there.

    What lies behind a link is not a file of the tree: git counts it as removed where a folder became a link.
    """
    for name in changed:
        source, target = source_root / name, target_root / name
        is_behind_a_link = link_on_the_way(source, source_root) is not None
        if source.is_dir() and not source.is_symlink() and not is_behind_a_link:
            continue  # a submodule or a repository inside this one
        if not is_behind_a_link and (source.is_symlink() or source.exists()):
            clear_path(target, target_root)
            shutil.copy2(source, target, follow_symlinks=False)
        elif link_on_the_way(target, target_root) is None:
            # Its folder has become a file, or it was a submodule.
            with suppress(NotADirectoryError, IsADirectoryError):
                target.unlink(missing_ok=True)


def link_shared_files(repository: Repository, tree: Worktree, names: Sequence[str]) -> None:
    """Let files that git ignores (images, weights) be seen by a side."""
    for name in names:
        source = Path(os.path.normpath(repository.project_root / name))
        if not source.exists() or repository.root not in source.parents:
            raise UsageError(f"--share {name}: not found in {repository.root}; name a file or folder in it")
        worktree = tree.path.resolve()
        target = worktree / source.relative_to(repository.root)
        if target.exists():
            continue
        if resolves_inside(target.parent, worktree):
            target = target.parent.resolve() / target.name
        clear_path(target, worktree)
        target.symlink_to(source)


def refuse_led_out(tree: Worktree) -> None:
    """A side whose project folder is a link to elsewhere would be prepared and run there."""
    if not resolves_inside(tree.root, tree.path):
        folder = tree.root.relative_to(tree.path)
        raise UsageError(
            f"{tree.side}: {folder} is a link or lies behind one that leads out of the checkout of "
            f"{tree.label}, expected a folder inside it; gate from the repository's root"
        )


def with_python(tree: Worktree, python: str) -> Worktree:
    return replace(tree, python=python)


def run_prepare_commands(tree: Worktree, commands: Sequence[str], log: Path) -> Worktree:
    """Run the project's own preparation in a side; an environment it makes in .venv becomes the side's."""
    not_its_own = {"VIRTUAL_ENV", "PYTHONPATH", *GIT_LOCATION_VARIABLES}
    environment = {name: value for name, value in os.environ.items() if name not in not_its_own}
    for command in commands:
        with log.open("ab") as out:
            try:
                done = subprocess.run(
                    shlex.split(command),
                    cwd=tree.root,
                    env={**environment, RUN_VARIABLE: tree.path.parent.name},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    check=False,
                )
            except OSError as error:
                raise UsageError(
                    f"--prepare {command!r}: {error}; expected a program and its words"
                ) from error
        if done.returncode:
            tail = log.read_text(errors="replace")[-2000:]
            raise UsageError(
                f"--prepare {command!r}: exit status {done.returncode} in {tree.side}, expected 0; "
                f"its last words:\n{tail}"
            )
    own = tree.root / ".venv" / "bin" / "python"
    python = str(own) if own.exists() else tree.python
    return replace(tree, python=python, is_prepared=bool(commands))


def refuse_in_place_extensions(repository: Repository, found: ProjectSources) -> None:
    """Extensions built in place are not in git: a worktree would lack them."""
    listed = git_output(
        repository.project_root, "ls-files", "--others", "-z", "--", *found.folders, who="git"
    )
    for name in listed.split("\0"):
        parts = Path(name).parts
        if (
            name.endswith(EXTENSION_SUFFIXES)
            and set(parts) & set(found.packages)
            and "site-packages" not in parts
        ):
            raise UsageError(
                f"{name}: compiled in place and not in git, so neither side would have it; build each side "
                "with --prepare, for example --prepare 'uv venv' --prepare 'uv pip install -e .'"
            )


def install_agent(place: Path) -> Path:
    """The arm's plugin alone in a folder, so that a side's path gains nothing else."""
    package = place / "plugin" / AGENT_PACKAGE
    shutil.copytree(Path(__file__).with_name("agent"), package, ignore=shutil.ignore_patterns("__pycache__"))
    return package.parent


def pytest_command(tree: Worktree, pytest_words: Sequence[str]) -> list[str]:
    """`PYTHON -m MODULE WORDS`, which is also how a parent reads it."""
    # Without the cache a project's --ff would be unknown; with its own the repository would be written to.
    words = ["-p", f"{AGENT_PACKAGE}.plugin", "-o", f"cache_dir={tree.path.parent / 'cache' / tree.side}"]
    return [tree.python, "-m", "pytest", *words, *pytest_words]


def fork_server_command(tree: Worktree) -> list[str]:
    return [tree.python, "-m", f"{AGENT_PACKAGE}.fork_server"]


def fork_server_environment(agent_path: Path, run: str, luck: Mapping[str, str]) -> dict[str, str]:
    return {**_inherited_environment(), "PYTHONPATH": str(agent_path), **luck, RUN_VARIABLE: run}


def randomized_environment(chance: random.Random) -> dict[str, str]:
    """Hash seed and size of the environment, which moves the heap: drawn for each pair, the same for both
    sides, so that the luck of one layout is neither taken for a difference nor for the lack of one."""
    padding = "x" * chance.randrange(4096)
    return {"PYTHONHASHSEED": str(chance.randrange(1, 2**32)), "PERFSUITE_GATE_PADDING": padding}


def side_environment(
    repository: Repository,
    tree: Worktree,
    side: str,
    agent_path: Path,
    scratch: Path,
    luck: Mapping[str, str],
) -> dict[str, str]:
    """What a side's process starts with; `scratch` is for the temporary files of its tests."""
    found = (
        ProjectSources((), find_sources(tree.root).packages) if tree.is_prepared else find_sources(tree.root)
    )
    inherited = [
        _path_in_worktree(entry, repository, tree)
        for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep)
        if entry and not tree.is_prepared
    ]
    path = [str(agent_path), *(str((tree.root / folder).resolve()) for folder in found.folders), *inherited]
    return {
        **_inherited_environment(),
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(path)),
        **luck,
        RUN_VARIABLE: tree.path.parent.name,
        "PERFSUITE_GATE_SIDE": side,
        plugin.SCRATCH_VARIABLE: str(scratch),
        plugin.ROOT_VARIABLE: str(tree.path),
        plugin.PACKAGES_VARIABLE: ",".join(found.packages),
        plugin.PERFSUITE_PATH_VARIABLE: str(Path(__file__).resolve().parents[2]),
    }


def _inherited_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(EXCLUDED_VARIABLES)}


def _path_in_worktree(entry: str, repository: Repository, tree: Worktree) -> str:
    """A path into the repository becomes the same path into the side."""
    resolved = Path(entry).resolve()
    if resolved.is_relative_to(repository.root):
        return str(tree.path / resolved.relative_to(repository.root))
    return entry


def run_git(place: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """git in a folder, with `more` in its environment."""
    # In a hook git's own variables name the index and the folder of the commit being made.
    around = {name: value for name, value in os.environ.items() if name not in GIT_LOCATION_VARIABLES}
    quiet: Mapping[str, str] = {**around, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", **more}
    try:
        return subprocess.run(
            ["git", *words],  # noqa: S607 - the user's git is meant
            cwd=place,
            env=quiet,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
        )
    except FileNotFoundError as error:
        raise UsageError("git: not found, expected it on the PATH; install it") from error


def git_output(place: Path, *words: str, who: str, **more: str) -> str:
    done = run_git(place, *words, **more)
    if done.returncode:
        raise UsageError(f"{who}: git {words[0]} failed: {done.stderr.strip() or done.returncode}")
    return done.stdout.strip("\n")
