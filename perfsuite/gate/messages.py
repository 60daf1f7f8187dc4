"""The messages of a side's process, checked: code of the gated project shares the socket with the agent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from perfsuite.store.json_values import is_integer, is_number

MAX_MESSAGE_BYTES = 64 * 2**20  # the collection of 100,000 tests takes a third of it
_MAX_SECONDS = 1e9  # thirty years
_MAX_SHOWN = 80  # characters of a wrong value in an error

Message = dict[str, Any]


class MessageError(ValueError):
    """A line that is no message of the agent."""


@dataclass(frozen=True, slots=True)
class _Field:
    """What a field must hold, and in words."""

    is_valid: Callable[[Any], bool]
    expected: str
    is_required: bool = True


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_integer(value: Any) -> bool:
    return is_integer(value) and -(2**63) <= value < 2**63


def _is_number(value: Any) -> bool:
    return is_number(value) and (_is_integer(value) if isinstance(value, int) else isfinite(value))


def _is_duration(value: Any) -> bool:
    return _is_number(value) and 0 <= value < _MAX_SECONDS


def _is_list(is_member: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(is_member, value))


def _is_table(is_member: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(is_member, value.values()))


def _is_item(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and _is_text(value.get("id"))
        and _is_text(value.get("file"))
        and "line" in value
        and (value["line"] is None or _is_integer(value["line"]))
    )


_TEXT = _Field(_is_text, "text")
_TEXTS = _Field(_is_list(_is_text), "a list of texts")
_PAIRS = _Field(
    _is_list(lambda pair: _is_list(_is_text)(pair) and len(pair) == 2), "a list of pairs of texts"
)
_DURATION = _Field(_is_duration, "a number of seconds, 0 or more")
_OPTIONAL_TEXT = _Field(_is_text, "text", is_required=False)

_EVENTS: Mapping[str, Mapping[str, _Field]] = {
    "collected": {
        "items": _Field(_is_list(_is_item), "a list of tests, each with id, file and line"),
        "errors": _PAIRS,
        "foreign_packages": _PAIRS,
        "modules_of_repository": _PAIRS,
        "pytest_config": _TEXT,
        "shared_imports": _TEXTS,
    },
    "waiting": {
        "node": _TEXT,
        "name": _TEXT,
        "items": _Field(
            lambda value: _is_number(value) and value > 0, "a finite number above 0", is_required=False
        ),
    },
    "warmed_up": {
        "seconds_per_call": _DURATION,
        "threads": _Field(lambda value: _is_integer(value) and value >= 0, "a whole number of 0 or more"),
        "on_device": _Field(lambda value: isinstance(value, bool), "true or false"),
    },
    "turn_ended": {
        "median": _DURATION,
        "low": _DURATION,
        "seconds_by_stage": _Field(_is_table(_is_duration), "an object of durations"),
        "waited_share": _Field(_is_duration, "a number, 0 or more"),
    },
    "counted": {
        "counts": _Field(_is_list(_is_table(_is_integer)), "a list of objects of whole numbers"),
        "missing": _OPTIONAL_TEXT,
    },
    "called": {},
    "test_ended": {
        "node": _TEXT,
        "outcome": _Field(
            lambda value: value in ("passed", "failed", "skipped", "xfailed"),
            "passed, failed, skipped or xfailed",
        ),
        "detail": _TEXT,
    },
    "session_finished": {
        "shared_imports": _TEXTS,
        "node": _OPTIONAL_TEXT,
        "unfinished_count": _Field(_is_integer, "a whole number", is_required=False),
        "reason": _OPTIONAL_TEXT,
    },
    "unknown_command": {"command": _TEXT},
}


def parse_message(line: bytes) -> Message:
    """The message in one line of a side's socket; MessageError says what is wrong with it.

    >>> parse_message(b'{"event": "unknown_command", "command": "x"}')["command"]
    'x'
    >>> parse_message(b"[1]")
    Traceback (most recent call last):
    perfsuite.gate.messages.MessageError: '[1]', expected a JSON object with a known event
    """
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:  # brackets nested thousands deep
        raise MessageError(f"{_shown(line)}, expected one JSON object a line") from error
    event = message.get("event") if isinstance(message, dict) else None
    if not isinstance(event, str) or event not in _EVENTS:
        raise MessageError(f"{_shown(line)}, expected a JSON object with a known event")
    for name, field in _EVENTS[event].items():
        if name not in message and not field.is_required:
            continue
        if name not in message or not field.is_valid(message[name]):
            found = repr(message[name])[:_MAX_SHOWN] if name in message else "absent"
            raise MessageError(f"{event}: {name} is {found}, expected {field.expected}")
    return message  # type: ignore[no-any-return]


def _shown(line: bytes) -> str:
    return repr(line[:_MAX_SHOWN].decode(errors="replace")) + "..." * (len(line) > _MAX_SHOWN)
