"""Shards: parts of one gate that run on several machines, with one chance of error in all."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from perfsuite.errors import UsageError

MAX_SHARDS = 1000


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """Part `number` of `count`. A test belongs to the shard that its name says, on every machine.

    Each shard has the same part of alpha, whatever the others find, and whichever ends first: the chance that
    any of them raises a false alarm is at most the sum of the parts.

    >>> str(Shard(1, 4)), Shard(1, 4).alpha(0.01)
    ('1/4', 0.0025)
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MAX_SHARDS or not 1 <= self.number <= self.count:
            raise UsageError(
                f"shard {self.number}/{self.count}, expected a number from 1 to the count, and at most "
                f"{MAX_SHARDS} shards"
            )

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def alpha(self, alpha: float) -> float:
        """The part of the gate's alpha that this shard may use."""
        return alpha / self.count

    def owns(self, node: str) -> bool:
        """Whether a test belongs to this shard.

        >>> [[shard.owns(name) for shard in (Shard(1, 2), Shard(2, 2))] for name in ("t.py::a", "t.py::c")]
        [[True, False], [False, True]]
        """
        digest = hashlib.sha256(node.encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number - 1


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """What a shard's report says about the whole: by it a merge finds out whether shards fit together."""

    shard: Shard
    collected_tests: int  # of all shards, by either side
    collected_digest: str  # of their names


def parse_shard(text: str) -> Shard:
    """The shard in an option.

    >>> parse_shard("2/3")
    Shard(number=2, count=3)
    """
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if match is None:
        raise UsageError(f"shard {text[:40]!r}, expected K/N, such as 1/4")
    return Shard(int(match[1]), int(match[2]))


def record_shard(shard: Shard, nodes: Iterable[str]) -> ShardRecord:
    """The record of one shard of a suite with these tests.

    >>> record_shard(Shard(1, 2), ["b", "a"]) == record_shard(Shard(1, 2), ["a", "b", "b"])
    True
    """
    names = sorted(set(nodes))
    digest = hashlib.sha256("\n".join(names).encode("utf-8", "surrogatepass")).hexdigest()
    return ShardRecord(shard, len(names), digest)
