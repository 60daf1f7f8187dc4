"""The kernels as a GPU gets them: compiled for Hopper on any machine, where nothing can run them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("triton", reason="triton is not installed")

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from perfsuite.transforms.augment import triton_ as augment_kernels
from perfsuite.transforms.normalization import triton_ as normalize_kernels

HOPPER = GPUTarget("cuda", 90, 32)
BYTES, FLOATS, WHOLE = "*u8", "*fp32", "i32"
NORMALIZED = {"images": BYTES, "out": FLOATS, "scale": FLOATS, "bias": FLOATS}
STRIDES = [f"{side}_{axis}_stride" for side in ("in", "out") for axis in "nchw"]
PICKED = dict.fromkeys(("rows", "tops", "lefts", "mirrors"), "*i32")
SHAPE = dict.fromkeys(("in_h", "in_w", "h", "w", "blocks"), WHOLE)
CONSTANTS = {"C": 3, "BLOCK": normalize_kernels.BLOCK, "INTERPRETED": False}
TYPES = {"*fp32": torch.float32, "*bf16": torch.bfloat16, "*fp16": torch.float16}
KINDS = {
    "pixels": normalize_kernels.BY_PIXEL,
    "planes": normalize_kernels.LONG_PLANES,
    "short planes": normalize_kernels.SHORT_PLANES,
}
AUGMENTED = {"out": BYTES, "sums": "*i64", "factors": FLOATS, "h": WHOLE, "w": WHOLE, "fill": "fp32"}
CASES: dict[str, tuple[Any, dict[str, str], dict[str, Any]]] = {
    "picked": (
        normalize_kernels._gather_kernel,
        NORMALIZED | PICKED | SHAPE | dict.fromkeys(STRIDES, WHOLE) | {"fill": "fp32"},
        CONSTANTS | {"CHANNELS_LAST": True, "DENSE": True},
    ),
    "moved": (
        augment_kernels._warp_kernel,
        AUGMENTED
        | {"images": BYTES, "backward": FLOATS, "blocks": WHOLE}
        | dict.fromkeys((f"{axis}_stride" for axis in "nchw"), WHOLE),
        {"BLOCK": 1024},
    ),
    "colored": (
        augment_kernels._color_kernel,
        AUGMENTED | {"erased": FLOATS, "blocks": WHOLE},
        {"BLOCK": 1024},
    ),
}


# torch's memory begins at a multiple of 16 bytes; numbers are given without that, as odd images have them.
ALIGNED = ("images", "out", "scale", "bias")


def compiled(
    kernel: Any,
    types: dict[str, str],
    constants: dict[str, Any],
    aligned: tuple[str, ...] = (),
    warps: int = 4,
) -> Any:
    known = types | dict.fromkeys(constants, "constexpr")
    signature = {argument: known[argument] for argument in kernel.arg_names}
    multiples = {(kernel.arg_names.index(name),): [["tt.divisibility", 16]] for name in aligned}
    return triton.compile(
        ASTSource(kernel, signature, constants, multiples),
        target=HOPPER,
        options={"enable_fp_fusion": False, "num_warps": warps},
    )


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


@pytest.mark.parametrize("name", CASES)
def test_it_compiles_for_hopper(name: str) -> None:
    made = compiled(*CASES[name])
    assert len(made.asm["cubin"]) > 0
    # In double precision a GPU is slow: only the mean of a whole image, once for each block, is worth it.
    assert (".f64" in made.asm["ptx"]) == (name == "colored")


def dense(out: str, kind: str, tile: int, total: str = "i32", **constants: int) -> Any:
    types = NORMALIZED | {"out": out, "size": WHOLE, "total": total}
    fixed = {"C": 3, "KIND": KINDS[kind].value, "TILE": tile, "INTERPRETED": False} | constants
    return compiled(normalize_kernels._dense_kernel, types, fixed, ALIGNED, normalize_kernels.WARPS)


@pytest.mark.parametrize("out", TYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_thread_stores_16_bytes_at_once_and_waits_for_no_other(kind: str, out: str) -> None:
    """Whatever the images' sides: four wide stores, four wide loads, nothing through shared memory."""
    made = dense(out, kind, normalize_kernels.tile_elements(TYPES[out]))
    assert made.asm["ptx"].count("st.global.v4.b32") == normalize_kernels.TILES.value
    if out != "*fp32":
        assert made.asm["ptx"].count("ld.global.v2.b32") == normalize_kernels.TILES.value
    assert made.metadata.shared == 0
    assert "bar.sync" not in made.asm["ptx"]


def test_longer_tiles_would_go_through_shared_memory() -> None:
    """The negative control, and the reason for `kernels.tile`."""
    assert dense("*fp32", "planes", 4 * normalize_kernels.tile_elements(torch.float32)).metadata.shared > 0


@pytest.mark.parametrize("kind", KINDS)
def test_offsets_of_64_bits_and_images_of_one_pixel_compile(kind: str) -> None:
    assert len(dense("*bf16", kind, 2048, total="i64").asm["cubin"]) > 0
    assert len(dense("*bf16", kind, 2048, size=1, C=5).asm["cubin"]) > 0


def test_cut_images_are_stored_16_bytes_at_once() -> None:
    made = compiled(*CASES["picked"], aligned=(*ALIGNED, "h", "w", "out_n_stride"))
    assert made.asm["ptx"].count("st.global.v4.b32") == 2
