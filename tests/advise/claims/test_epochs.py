"""Whole epochs of the claims, loading included. No time is asserted."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from perfsuite.advise.claims import epochs
from perfsuite.advise.claims.config import ClaimsConfig
from perfsuite.advise.claims.epochs import ALL_COMBINED, EPOCH_VARIANTS, compare_epochs
from perfsuite.advise.claims.loading import epoch_call
from perfsuite.advise.claims.variants import time_within
from perfsuite.advise.inputs.models import load_model
from perfsuite.advise.time_limit import TimeLimit
from perfsuite.data.loader import Loader
from perfsuite.data.synthetic import dataset
from perfsuite.training.step.compile import CompileFallbackWarning
from perfsuite.training.step.presets import COMBINED, Preset

CONFIG = ClaimsConfig(image_size=16, batch_size=8)
LIMIT = TimeLimit(3600.0, 0.0, lambda: 0.0)  # on a clock that stands still
PRESETS = {variant.preset for variant in EPOCH_VARIANTS.values()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset.make_dataset(tmp_path_factory.mktemp("p") / "p", images=20, classes=4, size=(80, 60))


@pytest.fixture(autouse=True)
def _one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epochs, "time_within", lambda limit, *rest: time_within(TimeLimit.start(0.0), *rest))


@pytest.fixture
def model() -> nn.Module:
    return load_model("tests.advise.inputs.user_things:Net")


def test_epochs_of_each_variant_load_the_same_full_batches(
    folder: Path, model: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compilation is left out, because it takes a minute; the presets that would be compiled are recorded."""
    made: list[tuple[str, int, Any]] = []

    def recorded(model: nn.Module, loader: Any, preset: Preset) -> Callable[[], None]:
        sizes = [len(images) for images, _ in loader]
        made.append((type(loader).__name__, sum(sizes), preset))
        assert set(sizes) == {8}, "a batch of another size would be compiled anew"
        return epoch_call(model, loader)

    monkeypatch.setattr(epochs, "epoch_call", recorded)
    times = compare_epochs(CONFIG, folder, model, PRESETS, LIMIT)
    assert [row.name for row in times.rows] == list(EPOCH_VARIANTS)
    assert times.rejected == {}
    assert times.rows[0].estimate == 1.0
    fast = Loader.__name__
    assert [(kind, images) for kind, images, _ in made] == [
        ("DataLoader", 16),
        (fast, 16),
        ("DataLoader", 16),
        ("DataLoader", 16),
        (fast, 16),
    ]
    assert made[-1][2] == COMBINED


def test_a_preset_whose_step_was_not_compared_is_not_timed(folder: Path, model: nn.Module) -> None:
    times = compare_epochs(CONFIG, folder, model, {"eager", "bf16"}, LIMIT)
    assert [row.name for row in times.rows] == ["baseline", "loading", "bf16"]
    reason = "{}: its step was not compared with eager's; not timed"
    assert times.rejected == {"compiled": reason.format("compiled"), ALL_COMBINED: reason.format("combined")}


def test_a_fallback_to_eager_is_not_timed_as_compiled(
    folder: Path, model: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    def falls_back(model: nn.Module, loader: Any, preset: Preset) -> Callable[[], None]:
        if not preset.is_compiled:
            return epoch_call(model, loader, preset)
        return lambda: warnings.warn("no compiler", CompileFallbackWarning, stacklevel=1)

    monkeypatch.setattr(epochs, "epoch_call", falls_back)
    times = compare_epochs(CONFIG, folder, model, PRESETS, LIMIT)
    assert [row.name for row in times.rows] == ["baseline", "loading", "bf16"]
    assert times.rejected == {"compiled": "no compiler", ALL_COMBINED: "no compiler"}


def test_an_epoch_trains_its_own_copy_of_the_model(folder: Path, model: nn.Module) -> None:
    before = [parameter.clone() for parameter in model.parameters()]
    compare_epochs(CONFIG, folder, model, {"eager", "bf16"}, LIMIT)
    assert all(torch.equal(*pair) for pair in zip(model.parameters(), before, strict=True))
