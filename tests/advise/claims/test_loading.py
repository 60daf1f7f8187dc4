"""Loaders that the claims compare: perfsuite's, torchvision's and the user's. No time is asserted."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.advise.claims import loading
from perfsuite.advise.claims.config import ClaimsConfig
from perfsuite.advise.inputs.loaders import load_user_loader
from perfsuite.advise.inputs.models import load_model
from perfsuite.advise.time_limit import TimeLimit
from perfsuite.advise.timed_step import random_batch
from perfsuite.data.synthetic import dataset
from perfsuite.training.devices import choose_device

LIMIT = TimeLimit(0.0, 0.0)  # over: one block of turns
USER_THINGS = "tests.advise.inputs.user_things"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset.make_dataset(tmp_path_factory.mktemp("p") / "p", images=24, classes=4, size=(80, 60))


def test_a_loader_of_dicts_is_compared_beside_ours(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "NUM_WORKERS", (0,))
    users = load_user_loader(f"{USER_THINGS}:dict_loader", 4)
    config = ClaimsConfig(image_size=16, batch_size=4, user_loader=users)
    names = [row.name for row in loading.compare_loaders(config, folder, LIMIT).rows]
    assert names == ["Pillow, no workers", "direct, no workers", "yours, no workers"]
    model = load_model(f"{USER_THINGS}:Net")
    images, labels = random_batch(4, 16, choose_device("cpu"), seed=0)
    rows = loading.compare_loader_with_step(config, folder, model, images, labels % 3, LIMIT).rows
    assert [row.name for row in rows] == ["training step", "direct, no workers", "yours, no workers"]
    # Four classes of images and a model of three: their time is measured all the same.
    stalls = loading.measure_stalls(config, folder, model, LIMIT)
    assert [stall.name for stall in stalls] == ["direct, no workers", "yours, no workers"]


def test_a_large_folder_is_represented_by_evenly_spaced_images(folder: Path) -> None:
    source = loading.limited_sources(folder, 6)["train"]
    assert len(source) == 6
    assert len({source.name(row).split("/")[0] for row in range(6)}) == 4
    assert len(loading.pillow_loader(folder, ClaimsConfig(batch_size=4), 6).dataset) == 6
