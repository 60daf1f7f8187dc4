from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from perfsuite.data import loaders as loaders_module
from perfsuite.data.loader import Loader, Normalize
from perfsuite.data.loaders import Loaders, default_num_workers, make_loaders
from perfsuite.data.sources.files import image_folder
from perfsuite.data.synthetic import dataset
from perfsuite.errors import DataError

SMALL: dict[str, Any] = {"batch_size": 8, "image_size": 32}
ENGINES = [
    ("threads", 0, None),
    ("threads", 1, None),
    ("threads", 3, None),
    ("subprocess", 2, "fork"),
    ("processes", 2, "fork"),
]
# Each worker imports torch anew, which takes seconds.
SLOW = [("processes", 2, "forkserver"), ("processes", 2, "spawn"), ("subprocess", 1, "forkserver")]
SLOW += [("subprocess", 1, "spawn")]
ENGINES += [pytest.param(*case, marks=pytest.mark.slow) for case in SLOW]  # type: ignore[misc]


def collect(batches: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> list[tuple[torch.Tensor, ...]]:
    return [(images.clone(), labels.clone()) for images, labels in batches]


def are_equal(first: Iterable[tuple[torch.Tensor, ...]], second: Iterable[tuple[torch.Tensor, ...]]) -> bool:
    pairs = zip(first, second, strict=True)
    return all(torch.equal(a, b) for one, two in pairs for a, b in zip(one, two, strict=True))


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict[int, list[tuple[torch.Tensor, ...]]]:
    loader = make_loaders(folder, num_workers=0, augmentation_mode="moderate", **SMALL).train
    return {epoch: collect(loader) for epoch in (0, 1)}


def test_splits_are_disjoint_and_complete(folder: Path) -> None:
    loaders = make_loaders(folder, num_workers=0, **SMALL)
    assert loaders.info["samples"] == {"train": 32, "val": 4, "test": 4}
    names = [
        {loader.source.name(row) for row in range(len(loader.source))}
        for loader in (loaders.train, loaders.val, loaders.test)
    ]
    assert len(set.union(*names)) == 40
    assert loaders.class_names == ("class_00", "class_01", "class_02", "class_03")
    assert loaders.info["class_weights"] == [1.0] * 4


def test_without_a_folder_images_are_generated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaders_module, "cached_dataset", lambda: folder)
    train_loader, _, _, class_names, info = make_loaders(num_workers=0, **SMALL)
    assert info["samples"]["train"] == 32
    assert len(class_names) == 4
    assert next(iter(train_loader))[0].shape == (8, 3, 32, 32)
    with pytest.raises(ValueError, match="data_dir: not given, expected the folder"):
        make_loaders(annotations=folder / "annotations.json")


def test_the_call_of_the_augmentation_report_unpacks(folder: Path) -> None:
    train_loader, val_loader, test_loader, class_names, info = make_loaders(
        data_dir=str(folder), batch_size=32, num_workers=8, augmentation_mode="moderate"
    )
    assert [len(loader) for loader in (train_loader, val_loader, test_loader)] == [1, 1, 1]
    assert (len(class_names), info["num_workers"]) == (4, 8)


def test_loaders_unpack_into_three_loaders_class_names_and_info(folder: Path) -> None:
    loaders = make_loaders(
        data_dir=folder,
        batch_size=32,
        num_workers=8,
        augmentation_mode="moderate",
        image_size=32,
        engine="threads",
    )
    train_loader, val_loader, test_loader, class_names, info = loaders
    try:
        assert (train_loader, val_loader, test_loader) == (loaders.train, loaders.val, loaders.test)
        assert class_names == loaders.class_names
        assert info is loaders.info
        assert set(info) == {"samples", "class_weights", "num_workers", "engine", "decoder", "seed"}
        images, labels = next(iter(train_loader))
        assert images.shape == (32, 3, 32, 32)
        assert labels.shape == (32,)
    finally:
        loaders.close()


def test_a_mapping_without_a_split_is_an_error(folder: Path) -> None:
    with pytest.raises(ValueError, match="data_dir: no source for 'test', expected train, val and test"):
        make_loaders(dict.fromkeys(("train", "val"), image_folder(folder)), **SMALL)


@pytest.mark.parametrize(("engine", "workers", "start"), ENGINES)
def test_every_engine_gives_the_same_images_in_every_epoch(
    folder: Path, expected: dict[int, list[tuple[torch.Tensor, ...]]], engine: str, workers: int, start: str
) -> None:
    loaders = make_loaders(
        folder,
        num_workers=workers,
        engine=engine,
        start_method=start,
        augmentation_mode="moderate",
        **SMALL,
    )
    loader = loaders.train
    try:
        for epoch in (0, 1):
            assert are_equal(collect(loader), expected[epoch])
        loader.set_epoch(0)  # persistent workers must use it
        assert are_equal(collect(loader), expected[0])
    finally:
        loaders.close()
    assert not are_equal(expected[0], expected[1])


def test_another_seed_gives_other_images(folder: Path, expected: dict[int, list[object]]) -> None:
    loader = make_loaders(folder, num_workers=0, augmentation_mode="moderate", seed=43, **SMALL).train
    assert not are_equal(collect(loader), expected[0])  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ["threads", "processes", "subprocess"])
def test_an_epoch_is_resumed_where_it_was_left(
    folder: Path, expected: dict[int, list[tuple[torch.Tensor, ...]]], engine: str
) -> None:
    def fresh() -> Loaders:
        options = {"engine": engine, "start_method": "fork", "augmentation_mode": "moderate"}
        return make_loaders(folder, num_workers=2, **options, **SMALL)  # type: ignore[arg-type]

    first, second = fresh(), fresh()
    collect(first.train)
    batches = iter(first.train)
    given = [next(batches), next(batches)]
    state = first.train.state_dict()
    assert (state["epoch"], state["batches_given"]) == (1, 2)
    second.train.load_state_dict(state)
    assert second.train.state_dict() == state
    assert are_equal([*given, *collect(second.train)], expected[1])
    assert len(collect(second.train)) == 4  # the epoch after is whole again
    del batches
    first.close()
    second.close()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("engine", ["threads", "processes", "subprocess"])
def test_workers_are_pinned_to_their_cores_and_the_caller_is_not(folder: Path, engine: str) -> None:
    usable = os.sched_getaffinity(0)
    core = max(usable)
    loaders = make_loaders(folder, num_workers=2, engine=engine, start_method="fork", cores=[core], **SMALL)
    try:
        collect(loaders.train)
        processes = [os.getpid(), *(child.pid for child in multiprocessing.active_children())]
        tasks = [int(task.name) for pid in processes for task in Path(f"/proc/{pid}/task").iterdir()]
        bound = [task for task in tasks if os.sched_getaffinity(task) == {core}]
        # A thread that finishes early also takes the next share, so a single thread may do all the work.
        assert len(bound) >= (2 if engine == "processes" else 1)
        assert os.sched_getaffinity(0) == usable  # the caller's own threads are not pinned
    finally:
        loaders.close()


@pytest.mark.parametrize(("cores", "workers"), [([9999], 2), ([0], 0)])
def test_unusable_cores_are_an_error(folder: Path, cores: list[int], workers: int) -> None:
    with pytest.raises(ValueError, match="cores: "):
        make_loaders(folder, num_workers=workers, cores=cores, **SMALL)


def test_the_iteration_after_an_early_exit_is_the_next_epoch(
    folder: Path, expected: dict[int, list[tuple[torch.Tensor, ...]]]
) -> None:
    loader = make_loaders(folder, num_workers=2, augmentation_mode="moderate", **SMALL).train
    for _ in loader:
        break
    assert are_equal(collect(loader), expected[1])


def test_scaled_decode_changes_pixels_only_slightly(tmp_path: Path) -> None:
    large = dataset.make_dataset(tmp_path / "p", images=10, classes=2, size=(640, 480))
    options = {"num_workers": 0, "augmentation_mode": "none", "normalize": Normalize(dtype=torch.uint8)}
    batches = [
        [images for images, _ in make_loaders(large, **{**SMALL, **options, "scaled_decode": scaled}).train]
        for scaled in (False, True)
    ]
    for images, reduced in zip(*batches, strict=True):
        assert not torch.equal(images, reduced)
        assert (images.int() - reduced.int()).abs().float().mean() < 1


def test_two_iterators_of_threads_are_independent(folder: Path) -> None:
    # Not "auto": on a loaded machine it chooses processes, which allow one iteration at a time.
    loader = make_loaders(folder, num_workers=2, engine="threads", augmentation_mode="none", **SMALL).train
    loader.set_epoch(0)
    alone = collect(loader)
    loader.set_epoch(0)
    one = iter(loader)
    first = next(one)
    loader.set_epoch(0)
    other = collect(loader)
    assert are_equal([first, *one], alone)
    assert are_equal(other, alone)


def test_a_state_of_other_data_is_an_error(folder: Path) -> None:
    loader = make_loaders(folder, num_workers=0, **SMALL).train
    state = loader.state_dict() | {"samples": 31}
    with pytest.raises(DataError, match="saved with samples 31, this loader has 32"):
        loader.load_state_dict(state)


@pytest.mark.parametrize(
    "wrong",
    [{"batches_given": 5}, {"batches_given": -1}, {"batches_given": 1.0}, {"epoch": None}, {"epoch": -1}],
    ids=str,
)
def test_a_state_without_a_position_in_an_epoch_is_an_error(folder: Path, wrong: dict[str, Any]) -> None:
    """Beyond the epoch's end, the next one would have no batch."""
    loader = make_loaders(folder, num_workers=0, **SMALL).train
    with pytest.raises(DataError, match=r"expected whole numbers, and at most the 4 batches of an epoch"):
        loader.load_state_dict(loader.state_dict() | wrong)
    assert len(collect(loader)) == 4


def test_batches_are_normalized_floats_or_bytes_by_the_dtype(folder: Path) -> None:
    floats = make_loaders(folder, num_workers=0, **SMALL).val
    raw = make_loaders(folder, num_workers=0, normalize=Normalize(dtype=torch.uint8), **SMALL).val
    for (normalized, _), (images, _) in zip(floats, raw, strict=True):
        assert images.dtype == torch.uint8
        mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
        std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
        torch.testing.assert_close(normalized, (images / 255 - mean) / std, atol=1e-5, rtol=0)


def test_stored_batches_are_not_overwritten_by_later_ones(folder: Path) -> None:
    for dtype in (torch.float32, torch.uint8):
        loader = make_loaders(folder, num_workers=2, normalize=Normalize(dtype=dtype), **SMALL).train
        stored = list(loader)
        loader.set_epoch(0)
        assert are_equal(stored, collect(loader))


def test_folders_named_train_and_val_are_the_splits(folder: Path, tmp_path: Path) -> None:
    for part, name in (("train", "class_00"), ("train", "class_01"), ("val", "class_01")):
        target = tmp_path / part / name
        target.mkdir(parents=True)
        for path in (folder / name).iterdir():
            (target / path.name).symlink_to(path)
    loaders = make_loaders(tmp_path, num_workers=0, **SMALL)
    assert loaders.info["samples"] == {"train": 20, "val": 10, "test": 0}
    assert {int(label) for _, labels in loaders.val for label in labels} == {1}
    assert list(loaders.test) == []


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"batch_size": 0}, "batch_size 0"),
        ({"num_workers": -1}, "num_workers: -1"),
        ({"augmentation_mode": "wild"}, "'wild', expected one of none, conservative, .*mirror"),
        ({"augmentation_mode": None}, "augmentation_mode: None, expected one of .*'none' for the same crop"),
        ({"engine": "magic"}, "engine: 'magic'"),
        ({"image_size": 0}, "image_size: 0"),
        ({"on_error": "ignore"}, "on_error: 'ignore'"),
        ({"val_fraction": 0.7, "test_fraction": 0.6}, "split: val 0.7"),
        ({"engine": "processes", "start_method": "clone"}, "start_method: 'clone'"),
        ({"rank": 1}, "expected both or neither"),
        ({"train_crop": "left"}, "crop: 'left'"),
        ({"decoder": "guess"}, "decoder: 'guess'"),
    ],
)
def test_an_invalid_argument_is_an_error_with_the_expected_values(
    folder: Path, overrides: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        list(make_loaders(folder, **{"num_workers": 1, **SMALL, **overrides}).train)


def test_the_error_for_a_missing_folder_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="perfsuite data make"):
        make_loaders(tmp_path / "absent")


def test_a_killed_worker_is_an_error_and_not_a_hang(folder: Path) -> None:
    for engine in ("processes", "subprocess"):
        loaders = make_loaders(folder, 2, 1, image_size=32, engine=engine, start_method="fork")
        with pytest.raises(DataError, match=r"loader: a worker process was killed by signal 9 \(SIGKILL\)"):
            _kill_while_loading(loaders.train)
        loaders.close()


def _kill_while_loading(loader: Loader) -> None:
    import psutil

    before = {child.pid for child in psutil.Process().children(recursive=True)}
    for given, _ in enumerate(loader):
        if given == 0:
            for child in psutil.Process().children(recursive=True):
                if child.pid not in before and "resource_tracker" not in " ".join(child.cmdline()):
                    child.kill()


def test_the_default_number_of_workers_is_1_to_8() -> None:
    assert 1 <= default_num_workers() <= 8


@pytest.mark.parametrize("mode", ["none", "moderate"])
@pytest.mark.parametrize("decoder", ["auto", "pillow", "torchvision"])
def test_without_the_region_decoder_images_differ_by_at_most_a_few_levels(
    folder: Path, monkeypatch: pytest.MonkeyPatch, mode: str, decoder: str
) -> None:
    from perfsuite.data.decoding import region

    raw = Normalize(dtype=torch.uint8)
    options = {"num_workers": 0, "augmentation_mode": mode, "normalize": raw, **SMALL}
    fast = make_loaders(folder, **options).train
    with monkeypatch.context() as changed:
        changed.setattr(region, "is_available", lambda: False)
        plain = collect(make_loaders(folder, decoder=decoder, **options).train)
    for (ours, labels), (theirs, their_labels) in zip(fast, plain, strict=True):
        difference = (ours.int() - theirs.int()).abs().float()
        assert difference.mean() < 0.5
        # Decoders differ by a level in chroma, which contrast and saturation may amplify.
        assert difference.max() <= (1 if mode == "none" and decoder == "pillow" else 8)
        assert torch.equal(labels, their_labels)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch_size": "32"}, "batch_size: '32', expected a whole number$"),
        ({"num_workers": 1.0}, "num_workers: 1.0, expected a whole number$"),
        ({"image_size": (224, 224)}, r"image_size: \(224, 224\), expected a whole number; images are square"),
        ({"image_size": 2.5}, "image_size: 2.5, expected a whole number$"),
        ({"seed": "a"}, "seed: 'a', expected a whole number"),
    ],
)
def test_a_wrong_type_is_named(wrong: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=message):
        make_loaders(tmp_path, **wrong)


@pytest.mark.parametrize(
    ("device", "message"), [("cuda", "no CUDA device here; use cpu"), ("gpu", "expected cpu, cuda or cuda:N")]
)
def test_a_device_that_is_not_there_is_named(
    device: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=message):
        make_loaders(tmp_path, device=device)


def test_loaders_describe_themselves(tmp_path: Path) -> None:
    folder = dataset.make_dataset(tmp_path / "images", images=20, classes=2, size=(48, 32))
    loaders = make_loaders(folder, num_workers=0, **SMALL)
    train = loaders.train
    assert repr(train) == "Loader(16 images, 2 batches of 8, num_workers=0, engine='inline')"
    assert repr(loaders).startswith("Loaders(train=Loader(16 images")
    assert (train.num_workers, train.dataset) == (0, train.source)
    assert train.without_workers().num_workers == 0


def test_the_default_mode_has_a_name(tmp_path: Path) -> None:
    folder = dataset.make_dataset(tmp_path / "images", images=20, classes=2, size=(48, 32))
    default = make_loaders(folder, num_workers=0, **SMALL)
    named, none = (
        make_loaders(folder, num_workers=0, augmentation_mode=mode, **SMALL) for mode in ("mirror", "none")
    )
    assert named.train.image_config == default.train.image_config
    assert none.train.image_config.crop == "center"
    assert named.train.image_config.crop == "random"
