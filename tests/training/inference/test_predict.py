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
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from perfsuite.errors import DataError
from perfsuite.training.inference import predict
from perfsuite.training.inference.model_cache import ModelCache
from perfsuite.training.inference.predict import Prediction, Predictor
from perfsuite.training.run.checkpoint import Checkpoint, ModelSpec

SPEC = ModelSpec("small", ("cat", "dog", "fish"), image_size=32)
_opened_files: list[str] | None = None


def _record_open(event: str, arguments: tuple[Any, ...]) -> None:
    if _opened_files is not None and event == "open":
        _opened_files.append(str(arguments[0]))


sys.addaudithook(_record_open)


@contextmanager
def record_opened_files() -> Iterator[list[str]]:
    """List every file that the interpreter opens in the block, for any library."""
    global _opened_files
    _opened_files = []
    try:
        yield _opened_files
    finally:
        _opened_files = None


class CopyRecorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the storages that are copied while it is entered."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.storages: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function.overloadpacket.__name__ in ("copy_", "_to_copy", "clone"):
            self.storages |= {
                tensor.untyped_storage().data_ptr() for tensor in args if isinstance(tensor, torch.Tensor)
            }
        return function(*args, **(kwargs or {}))


def labels_of(predictions: list[Prediction]) -> list[str]:
    return [prediction.label for prediction in predictions]


def probabilities_of(predictions: list[Prediction]) -> list[float]:
    return [prediction.probability for prediction in predictions]


def weights_of(predictor: Predictor) -> list[nn.Parameter]:
    assert isinstance(predictor.model, nn.Module)
    return list(predictor.model.parameters())


def save(path: Path, seed: int = 0, spec: ModelSpec = SPEC) -> Path:
    torch.manual_seed(seed)
    Checkpoint(spec, spec.build().state_dict()).save(path)
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


def test_a_prediction_equals_the_model_s_output(model_path: Path, image: Path) -> None:
    predictor = Predictor.load(model_path)
    (prediction,) = predictor([image])
    checkpoint = Checkpoint.load(model_path)
    model = SPEC.build()
    checkpoint.load_into(model)
    pixels = predictor.preprocess(image).float() / 255
    images = (pixels - torch.tensor(SPEC.mean).view(3, 1, 1)) / torch.tensor(SPEC.std).view(3, 1, 1)
    scores = model.eval()(images[None]).softmax(1)
    assert prediction.probability == pytest.approx(scores.max().item(), abs=1e-5)
    assert prediction.index == scores.argmax()
    assert prediction.label == SPEC.class_names[prediction.index]


def test_a_batch_predicts_what_single_images_do(model_path: Path, image: Path) -> None:
    predictor = Predictor.load(model_path)
    other = Image.new("RGB", (50, 20), (200, 10, 10))
    together = predictor([image, other, image])
    alone = [predictor([single])[0] for single in (image, other, image)]
    assert labels_of(together) == labels_of(alone)
    assert probabilities_of(together) == pytest.approx(probabilities_of(alone), abs=1e-5)
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
    with record_opened_files() as first:
        cache.get(model_path)([image])
    assert str(model_path) in first
    weights = {weight.untyped_storage().data_ptr() for weight in weights_of(cache.get(model_path))}
    with record_opened_files() as second:
        cache.get(model_path)([image])
    with CopyRecorder() as copied:  # separately: torch imports modules at its first use
        cache.get(model_path)([image])
    assert second == []
    assert not copied.storages & weights
    assert cache.load_count == 1


def test_a_planted_copy_of_weights_is_recorded(model_path: Path) -> None:
    weight = weights_of(ModelCache().get(model_path))[0]
    with CopyRecorder() as copied:
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


def test_threads_that_request_a_model_at_once_share_one_load(
    model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ModelCache()
    begin = threading.Barrier(8)
    release = threading.Event()
    load = Predictor.load

    def slow_load(*arguments: Any) -> Predictor:
        release.wait(10)
        return load(*arguments)

    monkeypatch.setattr(predict.Predictor, "load", staticmethod(slow_load))

    def request() -> Predictor:
        begin.wait(10)
        return cache.get(model_path)

    with ThreadPoolExecutor(8) as threads:
        requests = [threads.submit(request) for _ in range(8)]
        release.set()
        assert len({id(future.result(30)) for future in requests}) == 1
    assert cache.load_count == 1


def test_other_models_do_not_wait_for_a_slow_load(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = save(model_path.with_name("other.pth"))
    cache = ModelCache()
    loading, release = threading.Event(), threading.Event()
    load = Predictor.load

    def slow_load(path: Path, *arguments: Any) -> Predictor:
        if path == model_path:
            loading.set()
            release.wait(30)
        return load(path, *arguments)

    monkeypatch.setattr(predict.Predictor, "load", staticmethod(slow_load))
    with ThreadPoolExecutor(1) as threads:
        request = threads.submit(cache.get, model_path)
        loading.wait(10)
        assert cache.get(other).spec == SPEC
        assert not request.done()
        release.set()
        request.result(30)


def test_the_least_recently_used_model_is_evicted(tmp_path: Path) -> None:
    first, second, third = (save(tmp_path / f"{name}.pth") for name in "abc")
    cache = ModelCache(max_models=2)
    predictor = cache.get(first)
    cache.get(second)
    assert cache.get(first) is predictor
    cache.get(third)
    assert len(cache) == 2
    assert cache.get(first) is predictor
    assert cache.load_count == 3
    cache.get(second)
    assert cache.load_count == 4


def test_a_failed_load_is_raised_and_not_cached(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    cache = ModelCache()
    with pytest.raises(DataError, match="no such checkpoint"):
        cache.get(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(DataError, match="damaged"):
        cache.get(path)
    save(path)
    assert cache.get(path).spec == SPEC
    assert len(cache) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such image"), (b"", "cannot be read"), (b"\xff\xd8\xff\xe0", "cannot be read")],
)
def test_an_unreadable_image_is_named(
    content: bytes | None, message: str, model_path: Path, tmp_path: Path
) -> None:
    path = tmp_path / "x.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=rf"x\.jpg: {message}"):
        Predictor.load(model_path)([path])


def test_gray_transparent_and_rotated_images_are_read(model_path: Path, tmp_path: Path) -> None:
    predictor = Predictor.load(model_path)
    for mode in ("L", "RGBA", "P", "1"):
        assert len(predictor([Image.new(mode, (20, 10))])) == 1
    rotated = Image.new("RGB", (60, 30), (250, 0, 0))
    exif = rotated.getexif()
    exif[0x0112] = 6
    rotated.save(tmp_path / "rotated.jpg", exif=exif)
    pixels = predictor.preprocess(tmp_path / "rotated.jpg")
    assert (pixels[:, :, :8] == 128).all()


def make_preprocessor() -> Predictor:
    """A predictor without a model, for `preprocess` alone."""
    return Predictor(SPEC, lambda pixels: pixels, torch.device("cpu"))


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.jpg")
    fifo = os.open(tmp_path / "fifo.jpg", os.O_RDWR)
    unblock = threading.Timer(30, os.close, [fifo])  # ends the test if the FIFO is read after all
    unblock.start()
    os.write(fifo, b"no image")
    (tmp_path / "device.jpg").symlink_to("/dev/null")
    try:
        for name in ("fifo.jpg", "device.jpg"):
            with pytest.raises(DataError, match=rf"{name}: cannot be read as an image \(.*a regular file"):
                make_preprocessor().preprocess(tmp_path / name)
        assert os.read(fifo, 8) == b"no image"
    finally:
        unblock.cancel()
        os.close(fifo)


def test_an_image_beyond_the_pixel_limit_is_not_decoded(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60 * 30 // 2)
    assert make_preprocessor().preprocess(image).shape == (3, 32, 32)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60 * 30 // 2 - 1)
    monkeypatch.setattr(predict, "to_upright_rgb", lambda image: pytest.fail("it was decoded"))
    with pytest.raises(DataError, match="60 x 30 pixels, expected at most 1,798;"):
        make_preprocessor().preprocess(image)


def test_other_formats_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    with pytest.raises(DataError, match=r"x.jpg: .*expected one of BMP, GIF, JPEG, PNG, TIFF, WEBP"):
        make_preprocessor().preprocess(path)


@pytest.mark.parametrize("kind", [TypeError, MemoryError, KeyError, ZeroDivisionError])
def test_any_decoding_error_names_the_file(
    image: Path, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(image: Image.Image) -> None:
        raise kind("planted")

    monkeypatch.setattr(predict, "to_upright_rgb", fail)
    with pytest.raises(DataError, match=rf"image.png: .*{kind.__name__}: '?planted"):
        make_preprocessor().preprocess(image)


def test_an_impossible_file_name_is_an_error() -> None:
    with pytest.raises(DataError, match="not a valid file name"):
        make_preprocessor().preprocess("a\0.jpg")
