from __future__ import annotations

import io
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from perfsuite.data.decoding.registry import available_decoders
from perfsuite.data.loaders import make_loaders
from perfsuite.judge.counter_diff import compare_counters
from perfsuite.measure.counters.compilation import CompilationCounters, compile_counters
from perfsuite.measure.counters.family import Direction
from perfsuite.measure.counters.registry import DIRECTIONS, FAMILIES, count
from perfsuite.measure.counters.torch_dispatch import count_operators
from perfsuite.stages import count_event

IMAGES = torch.zeros(4, 3, 8, 8)
WEIGHTS = torch.ones(3, 3, 3, 3, requires_grad=True)


def step() -> torch.Tensor:
    loss = torch.nn.functional.conv2d(IMAGES, WEIGHTS).square().mean()
    torch.autograd.backward(loss)
    WEIGHTS.grad = None
    return loss.detach()


def with_sync() -> None:
    step().item()


def with_mask() -> None:
    step()
    IMAGES[IMAGES > 0]


def with_layout_copy() -> None:
    step()
    IMAGES.contiguous(memory_format=torch.channels_last)


def with_cast() -> None:
    step()
    IMAGES.half()


def with_copy() -> None:
    step()
    IMAGES.clone()


def with_one_more_operator() -> None:
    step().add_(1)


PLANTS: dict[str, Callable[[], None]] = {
    "host_syncs": with_sync,
    "layout_copies": with_layout_copy,
    "casts": with_cast,
    "copies": with_copy,
    "dispatched_ops": with_one_more_operator,
}


@pytest.mark.parametrize(("counter", "planted"), PLANTS.items())
def test_a_planted_fault_moves_its_counter_by_one(counter: str, planted: Callable[[], None]) -> None:
    before, after = count(step)[counter], count(planted)[counter]
    assert after - before == 1


def test_a_mask_is_a_host_sync() -> None:
    assert count(with_mask)["host_syncs"] >= 1


@pytest.mark.parametrize("call", [step, *PLANTS.values()])
def test_counters_are_exactly_repeatable(call: Callable[[], object]) -> None:
    assert all(count(call) == count(call) for _ in range(3))


def test_a_counter_that_is_not_repeatable_is_listed() -> None:
    calls = iter(range(100))

    def erratic() -> None:
        for _ in range(next(calls)):
            IMAGES.clone()

    assert "copies" in compare_counters("t", [count(erratic)], [count(erratic), count(erratic)], {}).unstable


@pytest.mark.parametrize("guard", [nullcontext, torch.no_grad, torch.inference_mode])
def test_flops_are_those_that_torch_counts(guard: Callable[[], AbstractContextManager[object]]) -> None:
    attention = torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    words = torch.rand(2, 5, 16)

    def forward() -> None:
        with guard():
            loss = attention(words).sum()
        if loss.requires_grad:
            loss.backward()

    with FlopCounterMode(display=False) as torchs:
        forward()
    assert count(forward)["flops"] == torchs.get_total_flops() > 0


def test_counting_does_not_import_torchs_compiler() -> None:
    """That takes seconds, in every process of a gate."""
    code = (
        "import sys, torch; from perfsuite.measure.counters.registry import count; "
        "assert count(lambda: torch.ones(2, 2) @ torch.ones(2, 2))['flops'] == 16; "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_flops_of_a_convolution_are_those_of_the_formula() -> None:
    forward = 2 * 4 * 3 * 6 * 6 * 3 * 3 * 3
    assert count(lambda: torch.nn.functional.conv2d(IMAGES, WEIGHTS))["flops"] == forward


def test_bytes_saved_for_the_backward_pass_are_counted_once_and_without_weights() -> None:
    x = torch.ones(1000, requires_grad=True)

    def square_twice() -> None:
        y = x * 2  # keeps no tensor but a number
        (y * y).sum()  # keeps y, twice the same storage

    assert count(square_twice)["saved_bytes"] == 4000


def test_the_peak_of_live_bytes_falls_with_what_is_freed() -> None:
    def one_after_the_other() -> None:
        for _ in range(5):
            torch.empty(1000)

    def all_at_once() -> list[torch.Tensor]:
        return [torch.empty(1000) for _ in range(5)]

    assert count(one_after_the_other)["peak_tensor_bytes"] == 4000
    assert count(all_at_once)["peak_tensor_bytes"] == 20_000


def test_opened_files_and_decoded_images_are_counted(tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(image)

    def load() -> None:
        with Image.open(image) as opened:
            opened.load()
            opened.load()  # already decoded

    counted = count(load)
    assert (counted["opened_files"], counted["decoded_images"]) == (1, 1)


def test_what_the_code_tells_is_counted() -> None:
    assert count(lambda: count_event("decoded_images", 3))["decoded_images"] == 3


def test_an_additional_decode_is_found_by_torchvision_too() -> None:
    from torchvision.io import ImageReadMode, encode_jpeg

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated in favor of torchcodec since 0.29
        data = encode_jpeg(torch.zeros(3, 8, 8, dtype=torch.uint8))

        def decode() -> None:
            torch.ops.image.decode_jpeg(data, ImageReadMode.RGB.value, False)

        assert count(decode)["decoded_images"] == 1


def jpeg() -> bytes:
    packed = io.BytesIO()
    Image.new("RGB", (8, 8)).save(packed, "JPEG")
    return packed.getvalue()


def test_decoding_by_opencv_and_simplejpeg_is_counted(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    simplejpeg = pytest.importorskip("simplejpeg", reason="simplejpeg is not installed")
    data = jpeg()
    (tmp_path / "a.jpg").write_bytes(data)

    def decode() -> None:
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        cv2.imread(str(tmp_path / "a.jpg"))
        simplejpeg.decode_jpeg(data)

    assert count(decode)["decoded_images"] == 3


@pytest.mark.parametrize("decoder", ["auto", "pillow", "simplejpeg", "opencv", "torchvision"])
def test_our_loaders_decode_every_image_once_and_a_filled_cache_none(tmp_path: Path, decoder: str) -> None:
    if decoder not in ("auto", *available_decoders()):
        pytest.skip(f"{decoder} is not installed")
    (tmp_path / "one").mkdir()
    for number in range(6):
        (tmp_path / "one" / f"{number}.jpg").write_bytes(jpeg())
    options = {"image_size": 8, "decoder": decoder, "val_fraction": 0, "test_fraction": 0}
    plain = make_loaders(tmp_path, 3, 0, **options).train  # type: ignore[arg-type]
    cached = make_loaders(tmp_path, 3, 0, cache="ram", **options).train  # type: ignore[arg-type]
    list(plain)  # its libraries are imported before anything is counted
    assert count(lambda: list(plain))["decoded_images"] == 6
    assert count(lambda: list(cached))["decoded_images"] == 6
    assert count(lambda: list(cached)).get("decoded_images", 0) == 0


def test_counting_leaves_no_mode_and_no_patch_behind() -> None:
    plain_load, simplejpeg = Image.Image.load, pytest.importorskip("simplejpeg")
    plain_decode = simplejpeg.decode_jpeg
    count(step)
    assert Image.Image.load is plain_load
    assert simplejpeg.decode_jpeg is plain_decode
    assert torch.utils._python_dispatch._get_current_dispatch_mode() is None


def test_a_call_that_raises_leaves_nothing_behind_either() -> None:
    with pytest.raises(ZeroDivisionError):
        count(lambda: 1 / 0)
    assert torch.utils._python_dispatch._get_current_dispatch_mode() is None


def test_graph_breaks_and_recompiles_are_counted() -> None:
    torch._dynamo.reset()
    before = compile_counters()

    @torch.compile(backend="eager", dynamic=False)
    def broken(x: torch.Tensor) -> torch.Tensor:
        y = x + 1
        torch._dynamo.graph_break()
        return y * 2

    broken(torch.ones(2))
    after = compile_counters()
    assert after["graph_breaks"] - before.get("graph_breaks", 0) == 1
    broken(torch.ones(3))
    assert compile_counters()["recompiles"] > after["recompiles"]
    torch._dynamo.reset()


def test_operators_are_counted_by_name_with_the_backward_pass() -> None:
    names = count_operators(step)
    assert names["aten.convolution"] == 1
    assert names["aten.convolution_backward"] == 1


def test_every_direction_is_declared_for_a_counter_that_exists() -> None:
    assert {"host_syncs", "layout_copies", "decoded_images", "graph_breaks"} <= set(DIRECTIONS)
    assert set(DIRECTIONS.values()) == {Direction.LESS_IS_BETTER}


def test_every_counter_of_torch_has_a_direction() -> None:
    """Only what a project counts itself may lack one."""
    assert set(count(with_copy)) | set(compile_counters()) <= set(DIRECTIONS)


def test_a_family_is_one_file(tmp_path: Path) -> None:
    """A module in the folder with a FAMILY is found without an entry elsewhere."""
    added = tmp_path / "measure_extra"
    added.mkdir()
    (added / "sleeps.py").write_text(
        "from contextlib import contextmanager\n"
        "from perfsuite.measure.counters.family import CounterFamily, less_is_better\n"
        "@contextmanager\n"
        "def watch(counts):\n"
        "    counts['sleeps'] += 3\n"
        "    yield\n"
        "FAMILY = CounterFamily(less_is_better('sleeps'), watch)\n"
    )
    code = (
        "import perfsuite.measure.counters as package\n"
        f"package.__path__.append({str(added)!r})\n"
        "from perfsuite.measure.counters.registry import DIRECTIONS, count\n"
        "from perfsuite.judge.limits import Limit, LimitType\n"
        "assert 'sleeps' in DIRECTIONS and count(lambda: None)['sleeps'] == 3\n"
        "Limit.parse(LimitType.CEILING, 'sleeps', 3)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_two_families_declare_the_same_counter() -> None:
    names = [name for family in FAMILIES for name in family.directions]
    assert len(names) == len(set(names))


def test_compilation_counters_are_those_since_their_creation() -> None:
    torch._dynamo.reset()
    outer = CompilationCounters()
    torch.compile(lambda x: x + 1, backend="eager")(torch.ones(2))
    inner = CompilationCounters()
    assert outer.difference()["compiled_graphs"] == 1
    assert inner.difference()["compiled_graphs"] == 0
    torch._dynamo.reset()
