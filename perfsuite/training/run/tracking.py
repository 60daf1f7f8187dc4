"""Logs of a training run: JSON lines, and MLflow if it is installed."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from perfsuite.errors import DataError, UsageError
from perfsuite.training.run.progress import EpochResult, TrainerCallback


class RunLogger(TrainerCallback, Protocol):
    """A trainer callback that also logs each epoch's resources, and how the run ended."""

    def on_resources(self, epoch: int, figures: Mapping[str, float]) -> None: ...

    def finish(self, status: str, outcome: Mapping[str, Any], artifacts: Sequence[Path]) -> None: ...


class JsonLinesLogger:
    """A file of JSON lines: settings, each step's loss, each epoch's result and resources, and the outcome.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = JsonLinesLogger(f"{folder}/run.jsonl", {"epochs": 1})
    ...     log.on_losses(2, [1.5, 1.25])
    ...     print(Path(f"{folder}/run.jsonl").read_text(), end="")
    {"event": "settings", "epochs": 1}
    {"event": "losses", "first_step": 1, "losses": [1.5, 1.25]}
    """

    def __init__(self, path: str | Path, settings: Mapping[str, Any], *, resumed: bool = False) -> None:
        self.path = Path(path)
        with self._named_errors():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not resumed:
                self.path.write_text("")
        self.write_event("resumed" if resumed else "settings", settings)

    def write_event(self, event: str, values: Mapping[str, Any]) -> None:
        """Append one line, with the event's name and its values."""
        line = json.dumps(_without_nan({"event": event, **values}), default=str, allow_nan=False) + "\n"
        # One write per line: a reader never sees half of one, and a killed process leaves none.
        with self._named_errors():
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(file, line.encode())
            finally:
                os.close(file)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(
                f"{self.path}: the log cannot be written ({error.strerror}); choose another with --log"
            ) from error

    def on_step(self, step: int, steps: int, images: int) -> None: ...

    def on_losses(self, step: int, losses: Sequence[float]) -> None:
        self.write_event("losses", {"first_step": step - len(losses) + 1, "losses": list(losses)})

    def on_epoch(self, result: EpochResult) -> None:
        self.write_event("epoch", asdict(result))

    def on_resources(self, epoch: int, figures: Mapping[str, float]) -> None:
        self.write_event("resources", {"epoch": epoch, **figures})

    def finish(self, status: str, outcome: Mapping[str, Any], artifacts: Sequence[Path]) -> None:
        self.write_event("outcome", {"status": status, **outcome})


def _without_nan(value: Any) -> Any:
    """Replace NaN and infinities by None: JSON has neither."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {name: _without_nan(item) for name, item in value.items()}
    return [_without_nan(item) for item in value] if isinstance(value, list | tuple) else value


class MlflowLogger:
    """A run in MLflow, written between epochs only, so that its database does not slow a step."""

    def __init__(self, uri: str, settings: Mapping[str, Any], name: str | None = None) -> None:
        try:
            import mlflow
        except ImportError as error:
            raise UsageError("tracking: MLflow is not installed; pip install 'perfsuite[track]'") from error
        try:
            self._client = mlflow.MlflowClient(tracking_uri=uri)
            experiment = self._client.get_experiment_by_name("perfsuite")
            experiment_id = (
                experiment.experiment_id if experiment else self._client.create_experiment("perfsuite")
            )
        except mlflow.exceptions.MlflowException as error:
            raise UsageError(
                f"tracking: {uri} cannot be logged to ({str(error).strip()[:200]}), expected a tracking URI; "
                "give one such as sqlite:///mlflow.db, or a server's"
            ) from error
        self.run_id: str = self._client.create_run(experiment_id, run_name=name).info.run_id
        for key, value in settings.items():
            self._client.log_param(self.run_id, key, value)
        self._losses: list[tuple[int, float]] = []

    def on_step(self, step: int, steps: int, images: int) -> None: ...

    def on_losses(self, step: int, losses: Sequence[float]) -> None:
        first = step - len(losses) + 1
        self._losses += [(first + index, loss) for index, loss in enumerate(losses)]

    def on_epoch(self, result: EpochResult) -> None:
        for step, loss in self._losses:
            self._client.log_metric(self.run_id, "loss", loss, step=step)
        self._losses = []
        for name, value in asdict(result).items():
            if value is not None and name != "epoch":
                self._client.log_metric(self.run_id, name, value, step=result.epoch)

    def on_resources(self, epoch: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._client.log_metric(self.run_id, name, value, step=epoch)

    def finish(self, status: str, outcome: Mapping[str, Any], artifacts: Sequence[Path]) -> None:
        """End the run: log its outcome, and of a finished run the artifacts that exist."""
        for key, value in outcome.items():
            self._client.log_param(self.run_id, key, value)
        for path in artifacts if status == "FINISHED" else ():
            if path.is_file():
                self._client.log_artifact(self.run_id, str(path))
        self._client.set_terminated(self.run_id, status)
