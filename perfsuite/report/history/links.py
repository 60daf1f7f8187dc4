"""Links to commits on a forge, from the address of a git remote."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SSH = re.compile(r"(?:ssh://)?(?:[\w.-]+@)([\w.-]+)(?::\d+)?[:/](.+?)(?:\.git)?/?")
_HTTPS = re.compile(r"https?://(?:[^@/]+@)?([\w.-]+(?::\d+)?)/(.+?)(?:\.git)?/?")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_LINK_DIGITS = 12  # of a commit in a range: unique, and short enough for a line
_PATH = re.compile(r"[\w.~-]+(?:/[\w.~-]+)+")


@dataclass(frozen=True, slots=True)
class ForgeLinks:
    """The addresses of commits and of ranges of commits; empty where the remote is no known forge."""

    repository: str = ""  # https://github.com/owner/name

    @classmethod
    def of_remote(cls, remote: str) -> ForgeLinks:
        """The links of a remote's address. Passwords in it are dropped.

        >>> ForgeLinks.of_remote("git@github.com:owner/name.git").repository
        'https://github.com/owner/name'
        >>> ForgeLinks.of_remote("https://user:secret@gitlab.com/a/b/c").repository
        'https://gitlab.com/a/b/c'
        >>> ForgeLinks.of_remote("/srv/git/name.git").repository
        ''
        """
        match = _HTTPS.fullmatch(remote) or _SSH.fullmatch(remote)
        if match is None or not _PATH.fullmatch(match[2]) or ".." in match[2]:
            return cls()
        return cls(f"https://{match[1]}/{match[2]}")

    def commit(self, commit: str) -> str:
        """The address of a commit.

        >>> ForgeLinks("https://github.com/o/n").commit("c0ffee1")
        'https://github.com/o/n/commit/c0ffee1'
        """
        if not self.repository or not _COMMIT.fullmatch(commit):
            return ""
        return f"{self._base}/{'commits' if self._is_bitbucket else 'commit'}/{commit}"

    def range(self, good: str, bad: str) -> str:
        """The address of the commits after `good` up to `bad`.

        >>> ForgeLinks("https://gitlab.com/o/n").range("c0ffee1", "c0ffee2")
        'https://gitlab.com/o/n/-/compare/c0ffee1...c0ffee2'
        """
        if not self.repository or not (_COMMIT.fullmatch(good) and _COMMIT.fullmatch(bad)):
            return ""
        good, bad = good[:_LINK_DIGITS], bad[:_LINK_DIGITS]
        if self._is_bitbucket:
            return f"{self._base}/branches/compare/{bad}..{good}"
        return f"{self._base}/compare/{good}...{bad}"

    @property
    def _base(self) -> str:
        return f"{self.repository}/-" if "gitlab" in self.repository.split("/")[2] else self.repository

    @property
    def _is_bitbucket(self) -> bool:
        return self.repository.startswith("https://bitbucket.org/")
