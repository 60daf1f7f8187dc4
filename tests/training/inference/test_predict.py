from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode

from perfsuite.errors import DataError
from perfsuite.training.inference import predict
from perfsuite.training.inference.predict import ModelCache, Predictor
from perfsuite.training.run.checkpoint import Checkpoint, ModelSpec

RECIPE = ModelSpec("small", ("cat", "dog", "fish"), image_size=32)
_opened: list[str] | None = None


def _note_opened(event: str, arguments: tuple[Any, ...]) -> None:
    if _opened is not None and event == "open":
        _opened.append(str(arguments[0]))


sys.addaudithook(_note_opened)


@contextmanager
def files_opened() -> Iterator[list[str]]:
    """Every file that the interpreter opens in the block, by whatever library."""
    global _opened
    _opened = []
    try:
        yield _opened
    finally:
        _opened = None


class Copied(TorchDispatchMode):
    """The storages that were copied while entered."""

    def __init__(self) -> None:
        super().__init__()
        self.storages: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function.overloadpacket.__name__ in ("copy_", "_to_copy", "clone"):
            self.storages |= {
                one.untyped_storage().data_ptr() for one in args if isinstance(one, torch.Tensor)
            }
        return function(*args, **(kwargs or {}))


def save(path: Path, seed: int = 0, recipe: ModelSpec = RECIPE) -> Path:
    torch.manual_seed(seed)
    Checkpoint(recipe, recipe.build().state_dict()).save(path)
    return path


@pytest.fixture
def model_path(tmp_path: Path) -> Path:
    return save(tmp_path / "m.pth")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.png"
    pixels = np.random.default_rng(0).integers(0, 256, (30, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def test_an_answer_is_the_model_s_own(model_path: Path, image: Path) -> None:
    predictor = Predictor.load(model_path)
    (found,) = predictor([image])
    checkpoint = Checkpoint.load(model_path)
    model = RECIPE.build()
    checkpoint.load_into(model)
    pixels = predictor.preprocess(image).float() / 255
    images = (pixels - torch.tensor(RECIPE.mean).view(3, 1, 1)) / torch.tensor(RECIPE.std).view(3, 1, 1)
    scores = model.eval()(images[None]).softmax(1)
    assert found.probability == pytest.approx(scores.max().item(), abs=1e-5)
    assert found.index == scores.argmax()
    assert found.label == RECIPE.class_names[found.index]


def test_a_batch_answers_as_single_images_do(model_path: Path, image: Path) -> None:
    predictor = Predictor.load(model_path)
    other = Image.new("RGB", (50, 20), (200, 10, 10))
    together = predictor([image, other, image])
    alone = [predictor([one])[0] for one in (image, other, image)]
    assert [one.label for one in together] == [one.label for one in alone]
    assert [one.probability for one in together] == pytest.approx(
        [one.probability for one in alone], abs=1e-5
    )
    assert predictor([]) == []


def test_images_keep_their_aspect_on_gray(model_path: Path, tmp_path: Path) -> None:
    pixels = Predictor.load(model_path).preprocess(Image.new("RGB", (60, 30), (250, 0, 0)))
    assert pixels.shape == (3, 32, 32)
    assert (pixels[:, :8] == 128).all()
    assert (pixels[:, 24:] == 128).all()
    assert (pixels[0, 8:24] == 250).all()
    assert (pixels[1, 8:24] == 0).all()


def test_the_second_call_reads_no_file_and_copies_no_weights(model_path: Path) -> None:
    cache = ModelCache()
    image = Image.new("RGB", (40, 40))
    with files_opened() as first:
        cache.get(model_path)([image])
    assert str(model_path) in first
    weights = {one.untyped_storage().data_ptr() for one in cache.get(model_path).model.parameters()}  # type: ignore[attr-defined]
    with files_opened() as second:
        cache.get(model_path)([image])
    with Copied() as copied:  # apart, for torch's own imports at its first use
        cache.get(model_path)([image])
    assert second == []
    assert not copied.storages & weights
    assert cache.load_count == 1


def test_a_planted_copy_of_weights_is_counted(model_path: Path) -> None:
    model = ModelCache().get(model_path).model
    weight = next(model.parameters())  # type: ignore[attr-defined]
    with Copied() as copied:
        weight.clone()
    assert weight.untyped_storage().data_ptr() in copied.storages


@pytest.mark.parametrize("change", ["replaced", "written into", "touched"])
def test_a_changed_file_is_loaded_again(change: str, model_path: Path) -> None:
    cache = ModelCache()
    before = cache.get(model_path)
    if change == "replaced":
        save(model_path, seed=1)
    elif change == "written into":
        other = save(model_path.with_name("other.pth"), seed=1)
        model_path.write_bytes(other.read_bytes())
    else:
        os.utime(model_path, ns=(1, 1))
    after = cache.get(model_path)
    assert after is not before
    assert cache.load_count == 2
    assert cache.get(model_path) is after


def test_one_file_by_two_names_is_one_model(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = model_path.with_name("link.pth")
    link.symlink_to(model_path)
    cache = ModelCache()
    monkeypatch.chdir(model_path.parent)
    assert cache.get(model_path) is cache.get(link) is cache.get("m.pth")
    assert cache.load_count == 1


def test_threads_that_ask_at_once_share_one_loading(
    model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ModelCache()
    begin = threading.Barrier(8)
    release = threading.Event()
    load = Predictor.load

    def slow(*arguments: Any) -> Predictor:
        release.wait(10)
        return load(*arguments)

    monkeypatch.setattr(predict.Predictor, "load", staticmethod(slow))

    def ask() -> Predictor:
        begin.wait(10)
        return cache.get(model_path)

    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(ask) for _ in range(8)]
        release.set()
        assert len({id(one.result(30)) for one in asked}) == 1
    assert cache.load_count == 1


def test_other_models_do_not_wait_for_a_slow_one(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = save(model_path.with_name("other.pth"))
    cache = ModelCache()
    loading, release = threading.Event(), threading.Event()
    load = Predictor.load

    def slow(path: Path, *arguments: Any) -> Predictor:
        if path == model_path:
            loading.set()
            release.wait(30)
        return load(path, *arguments)

    monkeypatch.setattr(predict.Predictor, "load", staticmethod(slow))
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(cache.get, model_path)
        loading.wait(10)
        assert cache.get(other).spec == RECIPE
        assert not asked.done()
        release.set()
        asked.result(30)


def test_the_least_used_model_makes_room(tmp_path: Path) -> None:
    first, second, third = (save(tmp_path / f"{name}.pth") for name in "abc")
    cache = ModelCache(max_models=2)
    kept = cache.get(first)
    cache.get(second)
    assert cache.get(first) is kept
    cache.get(third)
    assert len(cache) == 2
    assert cache.get(first) is kept
    assert cache.load_count == 3
    cache.get(second)
    assert cache.load_count == 4


def test_a_failed_loading_is_told_and_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    cache = ModelCache()
    with pytest.raises(DataError, match="no such checkpoint"):
        cache.get(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(DataError, match="damaged"):
        cache.get(path)
    save(path)
    assert cache.get(path).spec == RECIPE
    assert len(cache) == 1


@pytest.mark.parametrize(
    ("content", "named"),
    [(None, "no such image"), (b"", "cannot be read"), (b"\xff\xd8\xff\xe0", "cannot be read")],
)
def test_what_is_no_image_is_named(
    content: bytes | None, named: str, model_path: Path, tmp_path: Path
) -> None:
    path = tmp_path / "x.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=rf"x\.jpg: {named}"):
        Predictor.load(model_path)([path])


def test_gray_transparent_and_turned_images_are_read(model_path: Path, tmp_path: Path) -> None:
    predictor = Predictor.load(model_path)
    for mode in ("L", "RGBA", "P", "1"):
        assert len(predictor([Image.new(mode, (20, 10))])) == 1
    turned = Image.new("RGB", (60, 30), (250, 0, 0))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    pixels = predictor.preprocess(tmp_path / "turned.jpg")
    assert (pixels[:, :, :8] == 128).all()


def reader() -> Predictor:
    """Without a model: what `prepare` does to a file."""
    return Predictor(RECIPE, lambda pixels: pixels, torch.device("cpu"))


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.jpg")
    held = os.open(tmp_path / "fifo.jpg", os.O_RDWR)
    giving_up = threading.Timer(30, os.close, [held])  # whoever reads the FIFO after all is at its end then
    giving_up.start()
    os.write(held, b"no image")
    (tmp_path / "device.jpg").symlink_to("/dev/null")
    try:
        for name in ("fifo.jpg", "device.jpg"):
            with pytest.raises(DataError, match=rf"{name}: cannot be read as an image \(.*a regular file"):
                reader().preprocess(tmp_path / name)
        assert os.read(held, 8) == b"no image"
    finally:
        giving_up.cancel()
        os.close(held)


def test_a_size_beyond_the_pixel_limit_is_not_decoded(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60 * 30 // 2)
    assert reader().preprocess(image).shape == (3, 32, 32)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60 * 30 // 2 - 1)
    monkeypatch.setattr(predict, "upright_rgb", lambda image: pytest.fail("it was decoded"))
    with pytest.raises(DataError, match="60 x 30 pixels, expected at most 1,798;"):
        reader().preprocess(image)


def test_no_other_format_is_interpreted(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    with pytest.raises(DataError, match=r"x.jpg: .*expected one of BMP, GIF, JPEG, PNG, TIFF, WEBP"):
        reader().preprocess(path)


@pytest.mark.parametrize("kind", [TypeError, MemoryError, KeyError, ZeroDivisionError])
def test_any_error_of_decoding_names_the_file(
    image: Path, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(image: Image.Image) -> None:
        raise kind("planted")

    monkeypatch.setattr(predict, "upright_rgb", fail)
    with pytest.raises(DataError, match=rf"image.png: .*{kind.__name__}: '?planted"):
        reader().preprocess(image)


def test_a_name_that_no_file_can_have_is_told() -> None:
    with pytest.raises(DataError, match="no possible name of a file"):
        reader().preprocess("a\0.jpg")
