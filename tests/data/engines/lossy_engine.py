"""An engine with planted faults, for the negative controls of the tests that compare engines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perfsuite.data.batch import Batch, BatchTask
from perfsuite.data.engines.base import Engine


class LossyEngine:
    """May take errors for the end of an epoch; may leave out the last batch of every epoch after an error."""

    name = "lossy"

    def __init__(
        self, engine: Engine, *, hides_errors: bool = False, cuts_later_epochs: bool = False
    ) -> None:
        self._engine, self._hides_errors, self._cuts_later_epochs = engine, hides_errors, cuts_later_epochs
        self._missing_batches = 0

    def run(self, tasks: Sequence[BatchTask]) -> Iterator[Batch]:
        try:
            yield from self._engine.run(tasks[: len(tasks) - self._missing_batches])
        except BaseException as error:
            self._missing_batches = int(self._cuts_later_epochs)
            if not self._hides_errors or not isinstance(error, Exception):
                raise

    def close(self) -> None:
        self._engine.close()
