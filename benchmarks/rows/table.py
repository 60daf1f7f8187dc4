"""All rows, in the order of their ids."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.rows import augmentation, loading, training, transforms
from benchmarks.rows.row import Row

# The ids that must have a row.
ROW_IDS = tuple(
    f"{letter}{number}"
    for letter, count in (("A", 15), ("B", 9), ("C", 8), ("D", 6), ("E", 11))
    for number in range(1, count + 1)
)

_TEMPLATES = (*augmentation.ROWS, *transforms.ROWS, *loading.ROWS, *training.ROWS)


def rows(seconds: int, rounds: int) -> tuple[Row, ...]:
    """Every row; `seconds` for a command, three times as many for a long one, `rounds` for a part of one."""
    values = {"{seconds}": seconds, "{long}": 3 * seconds, "{rounds}": rounds}
    filled = []
    for row in _TEMPLATES:
        command = row.command
        for name, value in values.items():
            command = command.replace(name, str(value))
        filled.append(replace(row, command=command))
    return tuple(filled)
