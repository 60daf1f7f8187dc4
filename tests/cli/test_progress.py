"""The progress line: one line that changes on a terminal, one line per message elsewhere."""

from __future__ import annotations

from io import StringIO

import pytest

from perfsuite.cli.progress import ERASE_LINE, ProgressLine


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "text"),
    [
        (StringIO(), "command: one\ncommand: two\n"),
        (Terminal(), f"{ERASE_LINE}command: one{ERASE_LINE}command: two{ERASE_LINE}"),
    ],
    ids=["log", "terminal"],
)
def test_messages_replace_each_other_only_on_a_terminal(stream: StringIO, text: str) -> None:
    with ProgressLine("command: ", stream) as on_progress:
        on_progress("one")
        on_progress("two")
    assert stream.getvalue() == text
