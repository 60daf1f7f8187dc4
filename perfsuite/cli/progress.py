"""Progress on standard error: one line that changes on a terminal, one line per message in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from perfsuite.cli.output import print_message

SECONDS_BETWEEN_MESSAGES = 2.0
ERASE_LINE = "\r\033[K"


class ProgressLine:
    """Show what a command is doing.

    Call it with a message. As a context manager it removes the last message from a terminal at the end.
    """

    def __init__(self, prefix: str = "", stream: TextIO | None = None) -> None:
        self._prefix = prefix
        self._stream = sys.stderr if stream is None else stream
        self._is_terminal = self._stream.isatty()

    def __call__(self, message: str) -> None:
        text = f"{self._prefix}{message}"
        self._write(f"{ERASE_LINE}{text}" if self._is_terminal else f"{text}\n")

    def every_two_seconds(
        self, text: str, clock: Callable[[], float] = time.monotonic
    ) -> Callable[[int, int], None]:
        """A callback for counts, such as "run {} of {}"; what ends within two seconds shows nothing.

        The time starts at the first count, and the last one removes the message.
        """
        last: float | None = None

        def count(done: int, total: int) -> None:
            nonlocal last
            now = clock()
            if last is None:
                last = now
            elif done >= total:
                self.clear()
            elif now - last >= SECONDS_BETWEEN_MESSAGES:
                last = now
                self(text.format(done, total))

        return count

    def clear(self) -> None:
        if self._is_terminal:
            self._write(ERASE_LINE)

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class ImageCounter:
    """Count images on a terminal; a log gets nothing."""

    EVERY = 16

    def __init__(self) -> None:
        self._line = ProgressLine()
        self._is_shown = sys.stderr.isatty()

    def __call__(self, done: int, total: int) -> None:
        if self._is_shown and (done % self.EVERY == 0 or done == total):
            self._line(f"{done} of {total} images")
            if done == total:
                sys.stderr.write("\n")


def print_progress(command: str, message: str) -> None:
    """Print a message that stays, such as the path of a written report."""
    print_message(f"perfsuite {command}: {message}")
