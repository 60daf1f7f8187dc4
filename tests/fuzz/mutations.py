"""Random changes of bytes and of JSON documents, each decided by one seed."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

NUMBERS = [0, -1, 1, 2**31, 2**63, 10**400, -0.0, 1e308, 5e-324, float("inf"), float("nan"), 1.5, 255, 65536]
TEXTS = [
    "",
    "\0",
    "\x1b[31m",
    "::error::x",
    "../../x",
    "/etc/passwd",
    "x" * 5000,
    "\ud800",
    "a\nb",
    "NaN",
    "5",
]
OTHERS: list[Any] = [None, True, False, [], {}, [[]], {"": None}, [1, "x", None], {"a": {"a": {"a": 1}}}]
BYTES = [b"\0", b"\xff", b"\xff\xd8", b"\n", b"}", b"[", b'"', b"\x80" * 8, b"9" * 5000, b"[" * 3000]


def mutate_bytes(rng: random.Random, data: bytes) -> bytes:
    """Change, insert, remove or repeat a few stretches of bytes."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        start = rng.randrange(len(changed) + 1)
        end = min(len(changed), start + rng.choice((0, 1, 1, 2, 8, 64, 1000)))
        kind = rng.randrange(5)
        if kind == 0 and start < len(changed):
            changed[start] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[start:end] = rng.randbytes(end - start)
        elif kind == 2:
            changed[start:start] = rng.choice(BYTES)
        elif kind == 3:
            del changed[start:end]
        else:
            changed[start:start] = changed[start:end]
    return bytes(changed[: rng.randrange(len(changed) + 1)] if rng.random() < 0.1 else changed)


def interesting_value(rng: random.Random) -> Any:
    return copy.deepcopy(rng.choice(rng.choice((NUMBERS, TEXTS, OTHERS))))


def mutate_document(rng: random.Random, document: Any) -> Any:
    """Replace, remove, rename or repeat a few members of a JSON document."""
    document = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        document = _mutate_member(rng, document)
    return document


def _mutate_member(rng: random.Random, document: Any) -> Any:
    place, key = _random_place(rng, document)
    if place is None:
        return interesting_value(rng)
    kind = rng.randrange(6)
    if kind == 0:
        del place[key]
    elif kind == 1 and isinstance(place, list):
        place.insert(key, copy.deepcopy(place[key]))
    elif kind == 1:
        place[rng.choice(TEXTS)] = place[key]
    else:
        place[key] = interesting_value(rng)
    return document


def _random_place(rng: random.Random, document: Any) -> tuple[Any, Any]:
    """A container within a document and one of its keys; None for the document itself."""
    place, key = None, None
    value = document
    while isinstance(value, dict | list) and value and rng.random() < 0.85:
        place = value
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        value = place[key]
    return place, key


def mutate_json(rng: random.Random, data: bytes) -> bytes:
    """Change the document, or sometimes its bytes."""
    if rng.random() < 0.2:
        return mutate_bytes(rng, data)
    return json.dumps(mutate_document(rng, json.loads(data))).encode()
