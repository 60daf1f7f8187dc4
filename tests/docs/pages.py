"""The pages that people read, and the code in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "docs" / "how-to").glob("*.md")),
    )
}
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE_NAME = re.compile(r"# (\S+\.(?:py|toml))(?: .*)?\n")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; a first line such as `# words.py` names the file that it is."""

    language: str
    text: str

    @property
    def file(self) -> str | None:
        match = _FILE_NAME.match(self.text)
        return match[1] if match else None

    @property
    def is_test(self) -> bool:
        return re.search(r"^def test_", self.text, re.MULTILINE) is not None


def blocks(page: str, *languages: str) -> list[Block]:
    """The blocks of a page in some languages, in order."""
    found = (Block(language, text) for language, text in _FENCE.findall(PAGES[page]))
    return [block for block in found if block.language in languages]


def shell_statements(page: str) -> Iterator[str]:
    """The statements of the shell blocks; a loop is one statement."""
    for block in blocks(page, "sh"):
        loop: list[str] = []
        for line in block.text.replace("\\\n", " ").splitlines():
            if loop or (line.startswith("for ") and not line.endswith("done")):
                loop.append(line)
                if line != "done":
                    continue
                line, loop = "\n".join(loop), []
            if line.strip():
                yield line


def commands(statement: str) -> Iterator[list[str]]:
    """The words of each command in a statement, without comments and the words of a loop."""
    lexer = shlex.shlex(statement, posix=True, punctuation_chars="();&\n")
    lexer.whitespace_split = True
    lexer.whitespace = " \t\r"
    lexer.commenters = "#"
    words: list[str] = []
    for word in [*lexer, ";"]:
        if not set(word) <= set("();&\n"):
            words.append(word)
            continue
        while words and words[0] in ("do", "done"):
            words.pop(0)
        if words and words[0] != "for":
            yield words
        words = []
