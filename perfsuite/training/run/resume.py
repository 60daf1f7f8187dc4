"""The state from which a training run resumes, and its comparison with the run that resumes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import ConfigDict

from perfsuite.errors import DataError
from perfsuite.training.run.checkpoint import Checkpoint
from perfsuite.training.run.progress import EpochResult
from perfsuite.training.run.rng_state import check_rng_state
from perfsuite.training.run.validation import Count, FiniteNumber, validate
from perfsuite.training.step.optimizers import find_wrong_state

# Settings that may differ between a run and its resumption; all others must agree. Workers, engine, device
# and paths are not recorded at all.
MAY_DIFFER = frozenset(
    {
        # How long to train, and what to do about bad batches and files from now on.
        *("epochs", "on_bad_loss", "max_skipped_in_a_row", "on_error"),
        # What is reported and saved.
        *("read_losses_every", "checkpoint_every"),
        # How a step is computed: these change results by rounding only.
        *("channels_last", "compile_mode", "cuda_graphs", "optimizer_implementation"),
        "activation_checkpointing",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingState:
    """The state of a run beside its weights, as tensors, numbers, lists and dictionaries."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid", "arbitrary_types_allowed": True}

    settings: dict[str, Any]  # all that the run learns from, and the settings of MAY_DIFFER
    data: dict[str, Any]  # the identity of the first rank's images
    steps_done: Count
    optimizer: dict[int, dict[str, Any]]  # what the optimizer remembers of each parameter
    grad_scaler: dict[str, float | int]
    steps_skipped: Count
    skipped_in_a_row: Count
    history: list[EpochResult]
    epoch_loss_total: FiniteNumber  # of the epoch that is not finished, over its images
    epoch_images: Count
    rng_state: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return values | {"history": [asdict(result) for result in self.history]}

    @staticmethod
    def from_checkpoint(checkpoint: Checkpoint, path: str | Path) -> TrainingState:
        """Return the state that `checkpoint` contains; refuse a checkpoint of weights alone."""
        if not checkpoint.training:
            raise DataError(f"{path}: weights without the training's state, nothing to resume; train again")
        state: TrainingState = validate(TrainingState, dict(checkpoint.training), path, "training")
        check_rng_state(state.rng_state, path)
        return state

    def check_fits(
        self, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler, path: str | Path
    ) -> None:
        """Refuse a state of another optimizer or scaler."""
        wrong = find_wrong_state(optimizer, self.optimizer)
        if wrong is not None:
            raise DataError(f"{path}: training.optimizer.{wrong}; train again or restore the file")
        found, expected = sorted(self.grad_scaler), sorted(scaler.state_dict())
        if found != expected:
            raise DataError(
                f"{path}: training.grad_scaler has {', '.join(found) or 'nothing'}, expected "
                f"{', '.join(expected) or 'nothing'}; train again or restore the file"
            )


def check_same_run(there: Mapping[str, Any], here: Mapping[str, Any], path: str | Path) -> None:
    """Refuse to resume if anything that is learned from differs; the error names all of it."""
    names = [*here, *(name for name in there if name not in here)]
    differences = [
        f"{name} {_format(there, name)} there, {_format(here, name)} here"
        for name in names
        if name not in MAY_DIFFER
        and (name not in there or name not in here or not _is_equal(there[name], here[name]))
    ]
    if differences:
        raise DataError(
            f"{path}: another run ({'; '.join(differences)}), expected the same settings and data; "
            "resume with those, or train again"
        )


def _is_equal(stored: object, own: object) -> bool:
    try:
        return bool(stored == own)
    except RuntimeError:  # of several values, as a tensor gives: no setting is one
        return False


def _format(settings: Mapping[str, Any], name: str) -> str:
    return repr(settings[name]) if name in settings else "not recorded"
