"""git commands, and the repository that a gate was started in."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from perfsuite.errors import UsageError

# Set inside a git hook for the commit being made, and wrong for a process in another folder.
GIT_LOCATION_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX")


def run_git(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run git in a folder, with `variables` added to its environment."""
    inherited = {name: value for name, value in os.environ.items() if name not in GIT_LOCATION_VARIABLES}
    environment: Mapping[str, str] = {**inherited, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", **variables}
    try:
        return subprocess.run(
            ["git", *arguments],  # noqa: S607 - the user's git, from the PATH
            cwd=folder,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
        )
    except FileNotFoundError as error:
        raise UsageError("git: not found, expected it on the PATH; install it") from error


def git_output(folder: Path, *arguments: str, who: str, **variables: str) -> str:
    """What git prints; UsageError in the name of `who` where it fails."""
    done = run_git(folder, *arguments, **variables)
    if done.returncode:
        raise UsageError(f"{who}: git {arguments[0]} failed: {done.stderr.strip() or done.returncode}")
    return done.stdout.strip("\n")


def changed_files(folder: Path, commit: str) -> tuple[str, ...]:
    """Files that differ from a commit or are new.

    Not among them: what git ignores, virtual environments and bytecode.
    """
    differing = git_output(folder, "diff", "--name-only", "--no-renames", "-z", commit, who="git")
    new = git_output(folder, "ls-files", "--others", "--exclude-standard", "-z", who="git").split("\0")
    environments = tuple(name.removesuffix("pyvenv.cfg") for name in new if name.endswith("/pyvenv.cfg"))
    written = (
        name for name in new if not name.startswith(environments) and "__pycache__" not in name.split("/")
    )
    return tuple(sorted({*differing.split("\0"), *written} - {""}))


@dataclass(frozen=True, slots=True)
class Repository:
    """A git repository, and the folder in it that the gate was started from."""

    root: Path
    git_directory: Path  # the common one, also when started in a worktree
    project_subfolder: Path = Path()  # relative to the root; a repository may hold several projects

    @property
    def project_root(self) -> Path:
        return self.root / self.project_subfolder

    @classmethod
    def at(cls, folder: Path) -> Repository:
        """The repository that a folder lies in."""
        root = Path(git_output(folder, "rev-parse", "--show-toplevel", who=str(folder)))
        common = git_output(
            folder, "rev-parse", "--path-format=absolute", "--git-common-dir", who=str(folder)
        )
        return cls(root, Path(common), folder.resolve().relative_to(root.resolve()))

    def commit(self, revision: str) -> str:
        """The full hash of a revision."""
        if revision.startswith("-"):
            raise UsageError(f"{revision}: looks like an option, expected a commit, branch or tag")
        done = run_git(self.root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
        if done.returncode:
            is_shallow = git_output(self.root, "rev-parse", "--is-shallow-repository", who="git") == "true"
            cure = (
                "this clone is shallow: fetch more (fetch-depth: 0)"
                if is_shallow
                else "fetch it, or correct the name"
            )
            raise UsageError(f"{revision}: not a commit of {self.root.name}; {cure}")
        return done.stdout.strip()

    def has_file(self, commit: str, file: str) -> bool:
        return run_git(self.root, "cat-file", "-e", f"{commit}:{file}").returncode == 0

    def file_contents(self, commit: str, file: str) -> bytes:
        """The bytes of a file in a commit; none where the commit lacks it."""
        done = run_git(self.root, "show", f"{commit}:{file}")
        return b"" if done.returncode else done.stdout.encode("utf-8", "surrogateescape")

    def subject(self, commit: str) -> str:
        """The first line of a commit's message."""
        return git_output(self.root, "show", "--no-patch", "--format=%s", commit, who=commit)

    def uncommitted_files(self) -> tuple[str, ...]:
        """Files of the working tree that differ from HEAD, or are new and not ignored."""
        return changed_files(self.root, "HEAD")

    def divergence_note(self, head: str, base: str) -> str:
        """A warning where base has commits that head lacks; empty where one contains the other."""
        fork_point = run_git(self.root, "merge-base", base, head).stdout.strip()
        if fork_point in {base, head, ""}:
            return ""
        number = int(git_output(self.root, "rev-list", "--count", f"{head}..{base}", who=base))
        return (
            f"head lacks {number} commit{'s' * (number > 1)} of base, and what they changed counts as "
            f"head's change; merge them, or use --base {fork_point[:12]}, where the two diverged"
        )
