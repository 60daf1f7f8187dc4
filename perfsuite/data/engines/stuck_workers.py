"""Which image each worker is making, and the error for workers that have made none for too long."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from perfsuite.data.faults import name_row
from perfsuite.data.sources.base import ImageSource
from perfsuite.errors import DataError

IDLE = -1
MAX_NAMED_WORKERS = 3

CurrentRows = NDArray[np.int64]  # per worker: the row that it is making, or IDLE


def stuck_error(source: ImageSource, workers: Sequence[tuple[str, int | None]], timeout: float) -> DataError:
    """The error for a caller that has waited `timeout` seconds: each busy worker's name, and its row."""
    named = [
        f"{name} does not answer" if row is None else f"{name} is at {name_row(source, row)}"
        for name, row in workers[:MAX_NAMED_WORKERS]
    ]
    if len(workers) > MAX_NAMED_WORKERS:
        named.append(f"{len(workers) - MAX_NAMED_WORKERS} more are busy")
    return DataError(
        f"loader: no batch within {timeout:g} s ({'; '.join(named)}), expected one; "
        "check where that image is stored, or raise timeout (0 for no limit)"
    )


def busy_threads(current_rows: CurrentRows) -> list[tuple[str, int | None]]:
    """Names and rows of the threads that are making an image."""
    rows = current_rows.tolist()
    return [
        (f"worker {number} of {len(rows)}", row) for number, row in enumerate(rows, start=1) if row != IDLE
    ]
