"""Which changes between a run and its resumption are refused, and which are allowed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import (
    DataLoader,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from perfsuite.data.fast_image_folder import FastImageFolder
from perfsuite.data.loader import Normalize
from perfsuite.data.loaders import Loaders, make_loaders
from perfsuite.errors import DataError
from perfsuite.training.distributed.ranks import Rank
from perfsuite.training.run.checkpoint import Checkpoint, ModelSpec
from perfsuite.training.run.data_identity import identify_loader
from perfsuite.training.run.resume import MAY_DIFFER
from perfsuite.training.run.trainer import Trainer, TrainerOptions
from perfsuite.training.step.presets import EAGER, Preset

SPEC = ModelSpec("small", ("blue", "red"), image_size=16)
OPTIONS = TrainerOptions(epochs=2, learning_rate=0.05)


def write_images(folder: Path, count: int = 12, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    for label in SPEC.class_names:
        (folder / label).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number:02}.png", compress_level=0)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("images"))


def open_loaders(folder: Path, **changes: Any) -> Loaders:
    options: dict[str, Any] = {
        "batch_size": 4,
        "num_workers": 0,
        "image_size": 16,
        "val_fraction": 0.0,
        "test_fraction": 0.0,
        "normalize": Normalize(dtype=torch.float32, memory_format=torch.contiguous_format),
    }
    return make_loaders(folder, **(options | changes))


@pytest.fixture
def make_trainer(folder: Path) -> Iterator[Callable[..., Trainer]]:
    opened: list[Loaders] = []

    def make(
        data: Path = folder,
        loader: dict[str, Any] | None = None,
        options: TrainerOptions = OPTIONS,
        spec: ModelSpec = SPEC,
        **more: Any,
    ) -> Trainer:
        opened.append(open_loaders(data, **(loader or {})))
        return Trainer(spec, opened[-1].train, None, options=options, **more)

    yield make
    for loaders in opened:
        loaders.close()


@pytest.fixture
def saved(make_trainer: Callable[..., Trainer], tmp_path: Path) -> Path:
    make_trainer().save(tmp_path / "m.pth")
    return tmp_path / "m.pth"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"options": replace(OPTIONS, learning_rate=0.1)}, "learning_rate 0.05 there, 0.1 here"),
    ({"options": replace(OPTIONS, schedule="constant")}, "schedule 'cosine' there, 'constant' here"),
    ({"options": replace(OPTIONS, warmup_steps=2)}, "warmup_steps 0 there, 2 here"),
    ({"options": replace(OPTIONS, optimizer="adamw")}, "optimizer 'sgd' there, 'adamw' here"),
    ({"options": replace(OPTIONS, weight_decay=0.0)}, "weight_decay 0.0005 there, 0.0 here"),
    ({"options": replace(OPTIONS, label_smoothing=0.1)}, "label_smoothing 0.0 there, 0.1 here"),
    ({"options": replace(OPTIONS, seed=7)}, "seed 42 there, 7 here"),
    ({"preset": Preset(clip_norm=1.0)}, "clip_norm None there, 1.0 here"),
    ({"preset": Preset(precision="bf16")}, "precision 'float32' there, 'bf16' here"),
    ({"preset": Preset(precision="fp16")}, "precision 'float32' there, 'fp16' here"),
    ({"preset": Preset(accumulate=2)}, "accumulate 1 there, 2 here"),
    ({"spec": replace(SPEC, image_size=32)}, "image_size 16 there, 32 here"),
    ({"spec": replace(SPEC, mean=(0.5, 0.5, 0.5))}, "mean "),
    ({"spec": replace(SPEC, std=(0.5, 0.5, 0.5))}, "std "),
    ({"loader": {"augmentation_mode": "none"}}, "augmentation_mode 'mirror' there, 'none' here"),
    ({"loader": {"augmentation_mode": "aggressive"}}, "augmentation_mode 'mirror' there, 'aggressive' here"),
    ({"loader": {"batch_size": 5}}, "batch_size 4 there, 5 here"),
    ({"loader": {"seed": 7}}, "loader_seed 42 there, 7 here"),
    ({"loader": {"image_size": 8}}, "loader_image_size 16 there, 8 here"),
    ({"loader": {"train_crop": "center"}}, "crop 'random' there, 'center' here"),
    ({"loader": {"scaled_decode": True}}, "scaled_decode False there, True here"),
    ({"loader": {"drop_last": True}}, "drop_last False there, True here"),
    ({"loader": {"cache": "ram", "cache_epochs": 1}}, "cached_epochs None there, 1 here"),
    ({"loader": {"sampler": range(24)}}, "sampler None there, 'range' here"),
    ({"loader": {"normalize": Normalize(mean=(0.5, 0.5, 0.5))}}, "loader_mean"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_a_change_of_what_is_learned_is_refused_and_named(
    change: dict[str, Any], message: str, make_trainer: Callable[..., Trainer], saved: Path
) -> None:
    other = make_trainer(**change)
    before = [parameter.clone() for parameter in other.unwrapped_model.parameters()]
    with pytest.raises(DataError, match=message):
        other.resume(saved)
    # A refused resumption changes nothing.
    assert all(map(torch.equal, other.unwrapped_model.parameters(), before))


def test_all_differences_are_named_at_once(make_trainer: Callable[..., Trainer], saved: Path) -> None:
    other = make_trainer(options=replace(OPTIONS, seed=7, learning_rate=0.1), preset=Preset(clip_norm=2.0))
    with pytest.raises(DataError, match=r"learning_rate 0\.05.*seed 42.*clip_norm None.*; resume with"):
        other.resume(saved)


ALLOWED: list[dict[str, Any]] = [
    {},
    {"options": replace(OPTIONS, epochs=5)},
    {"options": replace(OPTIONS, read_losses_every=3, checkpoint_every=2)},
    {"options": replace(OPTIONS, on_bad_loss="skip", max_skipped_in_a_row=3)},
    {"loader": {"num_workers": 1, "engine": "threads", "prefetch_factor": 3}},
    {"loader": {"on_error": "skip"}},
    {"preset": Preset(channels_last=True, optimizer_implementation="foreach")},
    {"preset": Preset(activation_checkpointing=True)},
    {"preset": Preset(compile_mode="default")},
]


@pytest.mark.parametrize("change", ALLOWED, ids=str)
def test_what_changes_nothing_that_is_learned_may_differ(
    change: dict[str, Any], make_trainer: Callable[..., Trainer], saved: Path
) -> None:
    make_trainer(**change).resume(saved)


def test_every_option_and_every_field_of_the_preset_is_compared_or_listed(
    make_trainer: Callable[..., Trainer], saved: Path
) -> None:
    recorded = Checkpoint.load(saved).training["settings"].keys()
    known = {field.name for kind in (TrainerOptions, Preset, ModelSpec) for field in fields(kind)}
    assert known - {"model", "class_names"} <= recorded | MAY_DIFFER  # those two are in the model's spec
    assert MAY_DIFFER.isdisjoint({"seed", "clip_norm", "precision", "optimizer"})


def test_images_elsewhere_are_the_same_images(
    folder: Path, make_trainer: Callable[..., Trainer], saved: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(folder, tmp_path / "moved")
    make_trainer(data=moved).resume(saved)


def rename_an_image(folder: Path) -> None:
    (folder / "red" / "03.png").rename(folder / "red" / "99.png")


def move_an_image_to_the_other_class(folder: Path) -> None:
    (folder / "red" / "03.png").rename(folder / "blue" / "99.png")


def change_the_size_of_an_image(folder: Path) -> None:
    Image.new("RGB", (50, 50)).save(folder / "red" / "03.png", compress_level=0)


def change_the_pixels_of_every_image(folder: Path) -> None:
    shutil.rmtree(folder)
    write_images(folder, seed=1)  # uncompressed: names and sizes are those of before


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (rename_an_image, "image_names"),
        (move_an_image_to_the_other_class, "image_labels"),
        (change_the_size_of_an_image, "image_sizes"),
        (change_the_pixels_of_every_image, "contents"),
    ],
)
def test_other_images_of_equal_number_are_refused(
    change: Callable[[Path], None],
    named: str,
    folder: Path,
    make_trainer: Callable[..., Trainer],
    saved: Path,
    tmp_path: Path,
) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    change(other)
    with pytest.raises(DataError, match=rf"{named} '\w+' there, '\w+' here"):
        make_trainer(data=other).resume(saved)


def test_another_number_of_ranks_is_refused(make_trainer: Callable[..., Trainer], saved: Path) -> None:
    state = Checkpoint.load(saved)
    settings = state.training["settings"] | {"world_size": 2}
    Checkpoint(state.spec, state.weights, {**state.training, "settings": settings}).save(saved)
    with pytest.raises(DataError, match="world_size 2 there, 1 here"):
        make_trainer().resume(saved)


def test_fewer_epochs_than_are_done_are_refused(make_trainer: Callable[..., Trainer], tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    make_trainer(checkpoint_path=path).fit()
    with pytest.raises(DataError, match=r"12 steps done, expected at most the 6 of 1 epochs"):
        make_trainer(options=replace(OPTIONS, epochs=1)).resume(path)


def test_a_run_can_be_extended(make_trainer: Callable[..., Trainer], tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    constant = replace(OPTIONS, schedule="constant")
    make_trainer(options=constant, checkpoint_path=path).fit()
    extended = make_trainer(options=replace(constant, epochs=4))
    extended.resume(path)
    extended.fit()
    at_once = make_trainer(options=replace(constant, epochs=4))
    at_once.fit()
    assert extended.history == at_once.history


def test_identifying_data_draws_no_random_number(folder: Path) -> None:
    loaders = open_loaders(folder)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]
    identify_loader(loaders.train)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # type: ignore[index]
    loaders.close()


def tensor_loader(seed: int = 0, **options: Any) -> DataLoader[Any]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(12, 3, 4, 4, generator=generator)
    return DataLoader(TensorDataset(images, torch.arange(12) % 2), **({"batch_size": 4} | options))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (tensor_loader(), tensor_loader(1)),
        (tensor_loader(), tensor_loader(batch_size=3)),
        (tensor_loader(), tensor_loader(shuffle=True)),
        (
            tensor_loader(sampler=WeightedRandomSampler([1.0] * 12, 12)),
            tensor_loader(sampler=WeightedRandomSampler([2.0] + [1.0] * 11, 12)),
        ),
        (
            tensor_loader(sampler=SubsetRandomSampler([0, 1, 2])),
            tensor_loader(sampler=SubsetRandomSampler([0, 1, 3])),
        ),
        ([(torch.zeros(2, 3), torch.arange(2))], [(torch.ones(2, 3), torch.arange(2))]),
        (
            DataLoader(Subset(tensor_loader().dataset, [0, 1])),
            DataLoader(Subset(tensor_loader().dataset, [0, 2])),
        ),
    ],
)
def test_other_loaders_are_identified_too(first: Any, second: Any) -> None:
    assert identify_loader(first) == identify_loader(first)
    assert identify_loader(first) != identify_loader(second)


def test_the_rows_of_a_sampler_are_identified(folder: Path) -> None:
    rows = list(range(24))
    first, second, again = (open_loaders(folder, sampler=each) for each in (rows, rows[::-1], list(rows)))
    assert identify_loader(first.train) == identify_loader(again.train)
    assert identify_loader(first.train) != identify_loader(second.train)


def test_image_folders_of_torchvision_and_ours_are_identified(folder: Path, tmp_path: Path) -> None:
    from torchvision.datasets import ImageFolder

    moved, other = shutil.copytree(folder, tmp_path / "moved"), write_images(tmp_path / "other", count=11)
    kinds: tuple[Callable[[Path], Any], ...] = (ImageFolder, FastImageFolder)
    for kind in kinds:
        here, there, elsewhere = (
            identify_loader(DataLoader(kind(path), batch_size=4)) for path in (folder, moved, other)
        )
        assert here == there
        assert here["image_names"] != elsewhere["image_names"]
    assert identify_loader(DataLoader(FastImageFolder(folder)))["loader_image_size"] == 224


def test_a_loader_of_ones_own_describes_itself() -> None:
    class OwnLoader:
        def __init__(self, version: int) -> None:
            self.version = version

        def identity(self) -> dict[str, Any]:
            return {"data_version": self.version}

        def __len__(self) -> int:
            return 1

    assert identify_loader(OwnLoader(3)) == {"data_version": 3}


def test_only_the_first_rank_compares_its_images(
    make_trainer: Callable[..., Trainer], saved: Path, folder: Path, tmp_path: Path
) -> None:
    """Other ranks have other images, and the file has those of the first."""
    other = shutil.copytree(folder, tmp_path / "other")
    rename_an_image(other)
    second = make_trainer(data=other, preset=EAGER)
    object.__setattr__(second, "rank", Rank(1, 1, torch.device("cpu")))
    second.resume(saved)
