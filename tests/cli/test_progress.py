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


@pytest.mark.parametrize(
    ("stream", "text"),
    [
        (StringIO(), "run 2 of 9\nrun 5 of 9\n"),
        (Terminal(), f"{ERASE_LINE}run 2 of 9{ERASE_LINE}run 5 of 9{ERASE_LINE}"),
    ],
    ids=["log", "terminal"],
)
def test_counts_are_shown_every_two_seconds_from_the_first_one_on(stream: StringIO, text: str) -> None:
    seconds = iter((100.0, 101.9, 102.0, 103.0, 103.9, 104.1, 110.0))
    count = ProgressLine(stream=stream).every_two_seconds("run {} of {}", lambda: next(seconds))
    for done in (0, 1, 2, 3, 4, 5, 9):
        count(done, 9)
    assert stream.getvalue() == text
