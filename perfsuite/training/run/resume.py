"""The state from which an interrupted training run resumes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from perfsuite.errors import DataError
from perfsuite.training.run.checkpoint import Checkpoint

# Settings that do not change what is learned.
SETTINGS_THAT_MAY_DIFFER = {"read_losses_every", "checkpoint_every"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingState:
    """The state of a run beside its weights, as tensors, numbers, lists and dictionaries."""

    settings: dict[str, Any]
    steps_done: int
    optimizer: dict[str, Any]
    grad_scaler: dict[str, Any]
    steps_skipped: int
    history: list[dict[str, Any]]  # the fields of each EpochResult
    epoch_loss_total: float  # of the epoch that is not finished, over its images
    epoch_images: int
    rng_state: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @staticmethod
    def from_checkpoint(checkpoint: Checkpoint, path: str | Path) -> TrainingState:
        """Return the state that `checkpoint` contains; refuse a checkpoint of weights alone."""
        if not checkpoint.training:
            raise DataError(f"{path}: weights without the training's state, nothing to resume; train again")
        try:
            return TrainingState(**checkpoint.training)
        except TypeError as error:
            raise DataError(f"{path}: incomplete training state ({error}); train again") from error

    def check_same_settings(self, settings: Mapping[str, Any], path: str | Path) -> None:
        """Refuse to resume with settings that would change what is learned."""
        differences = [
            f"{name} {self.settings.get(name)} there, {value} here"
            for name, value in settings.items()
            if name not in SETTINGS_THAT_MAY_DIFFER and self.settings.get(name) != value
        ]
        if differences:
            raise DataError(
                f"{path}: another run ({'; '.join(differences)}); resume with the same settings and data"
            )
