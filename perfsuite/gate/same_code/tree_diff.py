"""Which files differ between the two sides."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from perfsuite.gate.agent.recording.project_files import ENVIRONMENT_SETTINGS

IGNORED_FOLDERS = frozenset({".git", "__pycache__"})
GIT_ENTRY = ".git"  # it names the commit, so it differs always
PART_BYTES = 1 << 20
PROMPT = re.compile(rb"^prompt *=.*$", re.MULTILINE)  # for shells; often the name of the folder


@dataclass(frozen=True, slots=True)
class TreeDiff:
    """Files, folders and links that differ, by their names relative to each root."""

    changed: frozenset[str]  # on both sides
    one_sided: frozenset[str]

    @property
    def names(self) -> frozenset[str]:
        return self.changed | self.one_sided


def compare_trees(base: Path, head: Path) -> TreeDiff:
    """Compare two folders. The paths of the folders themselves, in files below them, count as equal."""
    base_names, head_names = set(_entries(base)), set(_entries(head))
    roots = spellings(base, head)
    changed = {name for name in base_names & head_names if not is_same_file(base / name, head / name, roots)}
    return TreeDiff(frozenset(changed | {GIT_ENTRY}), frozenset(base_names ^ head_names))


def spellings(base: Path, head: Path) -> list[tuple[bytes, bytes]]:
    """How files may write the path of each root."""
    roots = dict.fromkeys([(base.resolve(), head.resolve()), (base, head)])
    return [(os.fsencode(one), os.fsencode(other)) for one, other in roots]


def _entries(root: Path) -> Iterator[str]:
    """Files, folders and links; nothing is read through a link."""
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in IGNORED_FOLDERS]
        for name in (*files, *folders):
            if name != GIT_ENTRY:
                yield os.path.relpath(Path(folder, name), root)


def is_same_file(one: Path, other: Path, roots: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether two files, folders or links are the same, apart from the paths of these roots."""
    if one.is_symlink() or other.is_symlink():
        return one.is_symlink() and other.is_symlink() and one.readlink() == other.readlink()
    if one.samefile(other):  # a hard link
        return True
    if not (one.is_file() and other.is_file()):
        return one.is_dir() and other.is_dir()
    if _is_executable(one) != _is_executable(other):
        return False
    if _have_equal_bytes(one, other):
        return True
    mine, theirs = one.read_bytes(), other.read_bytes()
    if one.name == ENVIRONMENT_SETTINGS:
        mine, theirs = PROMPT.sub(b"", mine), PROMPT.sub(b"", theirs)
    for base, head in roots:
        mine, theirs = mine.replace(base, b"\0"), theirs.replace(head, b"\0")
    return mine == theirs


def _have_equal_bytes(one: Path, other: Path) -> bool:
    """Compare two files in parts: a library in an environment has gigabytes."""
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as mine, other.open("rb") as theirs:
        while part := mine.read(PART_BYTES):
            if part != theirs.read(PART_BYTES):
                return False
    return True


def _is_executable(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o111)
