"""Python's audit events of this process, such as `open` and `os.fork`, for whoever listens."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Listener = Callable[[str, tuple[Any, ...]], None]  # event, arguments

_listeners: tuple[Listener, ...] = ()
_hook_is_installed = False


@contextmanager
def listen_to_audit_events(listener: Listener) -> Iterator[None]:
    """Call `listener` for every audit event of any thread while the block runs."""
    global _listeners, _hook_is_installed
    if not _hook_is_installed:  # Python cannot remove an audit hook, so one stays, inactive most of the time
        sys.addaudithook(_on_audit_event)
        _hook_is_installed = True
    _listeners = (*_listeners, listener)
    try:
        yield
    finally:
        _listeners = tuple(each for each in _listeners if each is not listener)


def _on_audit_event(event: str, arguments: tuple[Any, ...]) -> None:
    for listener in _listeners:
        listener(event, arguments)
