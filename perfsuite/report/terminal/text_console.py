"""A console that renders into text, at a given width, with or without colors."""

from __future__ import annotations

from io import StringIO

from rich.console import Console


def text_console(stream: StringIO, width: int, *, color: bool) -> Console:
    """Make a console that looks the same whatever the terminal and its variables are."""
    return Console(
        file=stream,
        width=width,
        force_terminal=color,
        no_color=not color,
        highlight=False,
        emoji=False,  # its table takes 30 ms to import
        legacy_windows=False,
    )
