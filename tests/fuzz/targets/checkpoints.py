"""Checkpoints of trained models."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from perfsuite.errors import PerfsuiteError
from tests.fuzz.mutations import interesting_value, mutate_bytes
from tests.fuzz.target import Target


@cache
def content() -> dict[str, Any]:
    from perfsuite.training.run.checkpoint import CHECKPOINT_FORMAT, ModelSpec

    spec = ModelSpec("small", ("a", "b"), 32)
    return {
        "perfsuite": CHECKPOINT_FORMAT,
        "model_spec": {name: getattr(spec, name) for name in ModelSpec.__slots__},
        "weights": dict(spec.build().state_dict()),
        "training": {"steps_done": 3, "epoch": 1},
    }


def _dump(value: object) -> bytes:
    import torch

    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def corpus() -> Sequence[bytes]:
    return [_dump(content())]


def mutate(rng: random.Random, data: bytes) -> bytes:
    """Change a member of the content, or bytes of the file."""
    if rng.random() < 0.5:
        return mutate_bytes(rng, data)
    changed: dict[str, Any] = {
        key: dict(value) if isinstance(value, dict) else value for key, value in content().items()
    }
    place = changed if rng.random() < 0.3 else changed[rng.choice(("model_spec", "weights", "training"))]
    key = rng.choice(list(place))
    if rng.random() < 0.2:
        del place[key]
    else:
        place[key] = interesting_value(rng)
    return _dump(changed)


def try_one(data: bytes, folder: Path) -> None:
    from perfsuite.training.run.checkpoint import Checkpoint

    path = folder / "model.pt"
    path.write_bytes(data)
    try:
        Checkpoint.load(path).load_into(Checkpoint.load(path).spec.build(), path)
    except PerfsuiteError:
        return


TARGET = Target("checkpoints", corpus, mutate, try_one, needs="torch")
