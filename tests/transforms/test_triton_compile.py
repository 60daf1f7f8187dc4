"""The kernels compiled for Hopper on any machine, without running them."""

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
from perfsuite.transforms.normalization import triton_kernels as normalize_kernels

HOPPER = GPUTarget("cuda", 90, 32)
BYTES, FLOATS, WHOLE = "*u8", "*fp32", "i32"
NORMALIZED = {"images": BYTES, "out": FLOATS, "scale": FLOATS, "bias": FLOATS}
STRIDES = [f"{side}_{axis}_stride" for side in ("in", "out") for axis in "nchw"]
GATHERED = dict.fromkeys(("rows", "tops", "lefts", "mirrors"), "*i32")
SHAPE = dict.fromkeys(("in_h", "in_w", "h", "w", "blocks"), WHOLE)
CONSTANTS = {"C": 3, "BLOCK": normalize_kernels.BLOCK, "INTERPRETED": False}
TYPES = {"*fp32": torch.float32, "*bf16": torch.bfloat16, "*fp16": torch.float16}
KINDS = {
    "pixels": normalize_kernels.BY_PIXEL,
    "planes": normalize_kernels.LONG_PLANES,
    "short planes": normalize_kernels.SHORT_PLANES,
}
AUGMENTED = {
    "out": BYTES,
    "sums": "*i64",
    "rows": FLOATS,
    "h": WHOLE,
    "w": WHOLE,
    "fill": "fp32",
    "blocks": WHOLE,
}
FIRST_PASS, SECOND_PASS = augment_kernels.PASSES
AUGMENT_CONSTANTS = {"BLOCK": 1024, "ROW": augment_kernels.ROW}
CASES: dict[str, tuple[Any, dict[str, str], dict[str, Any]]] = {
    "gather": (
        normalize_kernels._gather_kernel,
        NORMALIZED | GATHERED | SHAPE | dict.fromkeys(STRIDES, WHOLE) | {"fill": "fp32"},
        CONSTANTS | {"CHANNELS_LAST": True, "DENSE": True},
    ),
    "warp": (
        augment_kernels._warp_kernel,
        AUGMENTED | {"images": BYTES} | dict.fromkeys((f"{axis}_stride" for axis in "nchw"), WHOLE),
        AUGMENT_CONSTANTS | FIRST_PASS.constants | {"LEAVES_SUMS": True},
    ),
    "pixel operations": (
        augment_kernels._pixel_kernel,
        AUGMENTED | {"next_sums": "*i64"},
        AUGMENT_CONSTANTS | SECOND_PASS.constants | {"LEAVES_SUMS": False},
    ),
}


# torch's memory begins at a multiple of 16 bytes; sizes are compiled without that, as odd images have them.
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
def test_a_kernel_compiles_for_hopper(name: str) -> None:
    kernel = compiled(*CASES[name])
    assert len(kernel.asm["cubin"]) > 0
    # Double precision is slow on a GPU: only the mean of a whole image uses it, once for each block.
    assert (".f64" in kernel.asm["ptx"]) == (name == "pixel operations")


def dense(out: str, kind: str, tile: int, total: str = "i32", **constants: int) -> Any:
    types = NORMALIZED | {"out": out, "size": WHOLE, "total": total}
    fixed = {"C": 3, "KIND": KINDS[kind].value, "TILE": tile, "INTERPRETED": False} | constants
    return compiled(normalize_kernels._dense_kernel, types, fixed, ALIGNED, normalize_kernels.WARPS)


@pytest.mark.parametrize("out", TYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_thread_stores_16_bytes_at_once_without_a_barrier(kind: str, out: str) -> None:
    """For any size of image: four wide stores, four wide loads, no shared memory."""
    kernel = dense(out, kind, normalize_kernels.tile_elements(TYPES[out]))
    assert kernel.asm["ptx"].count("st.global.v4.b32") == normalize_kernels.TILES.value
    if out != "*fp32":
        assert kernel.asm["ptx"].count("ld.global.v2.b32") == normalize_kernels.TILES.value
    assert kernel.metadata.shared == 0
    assert "bar.sync" not in kernel.asm["ptx"]


def test_longer_tiles_use_shared_memory() -> None:
    """The negative control, and the reason for `tile_elements`."""
    assert dense("*fp32", "planes", 4 * normalize_kernels.tile_elements(torch.float32)).metadata.shared > 0


@pytest.mark.parametrize("kind", KINDS)
def test_offsets_of_64_bits_and_images_of_one_pixel_compile(kind: str) -> None:
    assert len(dense("*bf16", kind, 2048, total="i64").asm["cubin"]) > 0
    assert len(dense("*bf16", kind, 2048, size=1, C=5).asm["cubin"]) > 0


def test_gathered_images_are_stored_16_bytes_at_once() -> None:
    kernel = compiled(*CASES["gather"], aligned=(*ALIGNED, "h", "w", "out_n_stride"))
    assert kernel.asm["ptx"].count("st.global.v4.b32") == 2
