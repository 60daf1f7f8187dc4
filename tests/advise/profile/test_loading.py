from __future__ import annotations

from pathlib import Path

import pytest
import torch

from perfsuite.advise.profile import loading
from perfsuite.advise.profile.loading import profile_loading
from perfsuite.data.loaders import make_loaders
from perfsuite.data.synthetic import dataset
from perfsuite.errors import NothingMeasuredError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset.make_dataset(
        tmp_path_factory.mktemp("images") / "p", images=24, classes=2, size=(160, 120)
    )


def test_every_stage_has_a_rate_and_the_shares_make_a_whole(folder: Path) -> None:
    loaders = make_loaders(
        folder, 8, 2, "moderate", 32, annotations=folder / "annotations.json", decoder="pillow"
    )
    threads = torch.get_num_threads()
    found = profile_loading(loaders.train, seconds=0.2)
    assert {stage.name for stage in found.stages} == {
        *("read", "decode", "resize", "augment", "normalize", "targets", "rest")
    }
    assert sum(stage.share for stage in found.stages) == pytest.approx(1)
    rates = [stage.images_per_second for stage in found.stages]
    assert rates == sorted(rates)
    assert found.slowest is found.stages[0]
    assert found.images_per_second < rates[0]
    assert found.images % 8 in range(8)
    assert torch.get_num_threads() == threads
    assert loaders.train.engine == "auto"  # nobody's workers were started


def test_a_stage_that_is_made_slow_is_the_slowest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = loading.StageClock.end

    def slow(self: loading.StageClock, stage: str) -> None:
        if stage == "read":
            self._threads.stack[-1][0] -= 0.05  # as if it had begun earlier
        plain(self, stage)

    monkeypatch.setattr(loading.StageClock, "end", slow)
    found = profile_loading(make_loaders(folder, 8, 0, image_size=32).train, seconds=0.1)
    assert found.slowest.name == "read"
    assert "shards" in found.slowest.advice
    assert found.max_speedup(found.slowest) > 2


def test_a_loader_without_images_is_an_error(folder: Path) -> None:
    empty = make_loaders(folder, 8, 0, image_size=32, val_fraction=0).val
    with pytest.raises(NothingMeasuredError, match="gives no batch"):
        profile_loading(empty, seconds=0.1)
