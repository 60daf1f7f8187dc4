"""Profiles of loading: every stage has a rate, and a stage made slow is the slowest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from perfsuite.advise.profile.loading import profile_loading
from perfsuite.advise.profile.stage_loaders import without_workers
from perfsuite.data.loaders import make_loaders
from perfsuite.data.synthetic import dataset
from perfsuite.errors import NothingMeasuredError
from perfsuite.measure.stage_clock import StageClock
from tests.advise.inputs import user_things


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset.make_dataset(
        tmp_path_factory.mktemp("images") / "p", images=24, classes=2, size=(160, 120)
    )


def test_every_stage_has_a_rate_and_shares_add_up_to_one(folder: Path) -> None:
    loaders = make_loaders(
        folder, 8, 2, "moderate", 32, annotations=folder / "annotations.json", decoder="pillow"
    )
    threads = torch.get_num_threads()
    profile = profile_loading(loaders.train, seconds=0.2)
    assert {stage.name for stage in profile.stages} == {
        *("random numbers", "read", "decode", "resize", "augment", "collate", "normalize", "targets", "rest")
    }
    shares = {stage.name: stage.share for stage in profile.stages}
    assert profile.augmentation_shares == {
        "transforms": shares["augment"],
        "random numbers": shares["random numbers"],
        "memory": shares["collate"],
    }
    assert sum(stage.share for stage in profile.stages) == pytest.approx(1)
    rates = [stage.images_per_second for stage in profile.stages]
    assert rates == sorted(rates)
    assert profile.slowest is profile.stages[0]
    assert profile.images_per_second < rates[0]
    assert profile.images % 8 in range(8)
    assert torch.get_num_threads() == threads
    assert loaders.train.engine == "auto"  # no workers were started


def test_a_slowed_stage_is_the_slowest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = StageClock.end

    def slow(self: StageClock, stage: str) -> None:
        if stage == "read":
            self._threads.stack[-1][0] -= 0.05  # as if it had started earlier
        plain(self, stage)

    monkeypatch.setattr(StageClock, "end", slow)
    profile = profile_loading(make_loaders(folder, 8, 0, image_size=32).train, seconds=0.1)
    assert profile.slowest.name == "read"
    assert "shards" in profile.slowest.advice
    assert profile.max_speedup(profile.slowest) > 2


def test_without_augmentation_its_parts_have_no_shares(folder: Path) -> None:
    profile = profile_loading(make_loaders(folder, 8, 0, "none", 32).train, seconds=0.05)
    assert profile.augmentation_shares == {}


def test_a_loader_without_images_is_an_error(folder: Path) -> None:
    empty = make_loaders(folder, 8, 0, image_size=32, val_fraction=0).val
    with pytest.raises(NothingMeasuredError, match="gives no batch"):
        profile_loading(empty, seconds=0.1)


def test_any_loader_has_a_profile() -> None:
    stages = {stage.name for stage in profile_loading(user_things.dict_loader, seconds=0.05).stages}
    assert stages == {"dataset", "collate", "rest"}
    assert profile_loading(user_things.stream_loader, seconds=0.05).stages[0].name == "load"
    assert profile_loading(user_things.plain_batches, seconds=0.05).images > 0


class WorkerNumbers(IterableDataset[int]):
    """Yields the number of the worker that runs it; -1 is the caller's thread."""

    def __iter__(self) -> Iterator[int]:
        worker = get_worker_info()
        yield from [-1 if worker is None else worker.id] * 4


@pytest.mark.parametrize("batch_size", [2, None])
def test_workers_of_a_stream_are_not_started(batch_size: int | None) -> None:
    options = {"num_workers": 1, "persistent_workers": True, "timeout": 60}
    loader = DataLoader(WorkerNumbers(), batch_size=batch_size, **options)  # type: ignore[arg-type]
    batches = [torch.as_tensor(batch) for batch in without_workers(loader)]
    assert {int(number) for batch in batches for number in batch.flatten()} == {-1}
    assert sum(batch.numel() for batch in batches) == 4
    assert loader.num_workers == 1  # the user's loader is unchanged


def test_the_functions_of_a_torchvision_data_set_are_stages(folder: Path) -> None:
    from torch.utils.data import Subset
    from torchvision import datasets, transforms

    images = datasets.ImageFolder(
        str(folder), transforms.Compose([transforms.Resize((32, 32)), transforms.ToTensor()])
    )
    before = images.transform
    profile = profile_loading(DataLoader(Subset(images, range(8)), batch_size=4), seconds=0.05)
    assert {stage.name for stage in profile.stages} >= {"read and decode", "transform", "collate", "dataset"}
    assert images.transform is before
