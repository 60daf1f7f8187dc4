"""The kernels as a GPU gets them: compiled for Hopper on any machine, where nothing can run them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("triton", reason="triton is not installed")

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from perfsuite.transforms import augment_kernels, kernels

HOPPER = GPUTarget("cuda", 90, 32)
BYTES, FLOATS, WHOLE = "*u8", "*fp32", "i32"
NORMALISED = {"images": BYTES, "out": FLOATS, "scale": FLOATS, "bias": FLOATS}
STRIDES = [f"{side}_{axis}_stride" for side in ("in", "out") for axis in "nchw"]
PICKED = dict.fromkeys(("rows", "tops", "lefts", "mirrors"), "*i32")
SHAPE = dict.fromkeys(("in_h", "in_w", "h", "w", "blocks"), WHOLE)
CONSTANTS = {"C": 3, "BLOCK": 1024, "INTERPRETED": False}
AUGMENTED = {"out": BYTES, "sums": "*i64", "factors": FLOATS, "h": WHOLE, "w": WHOLE, "fill": "fp32"}
CASES: dict[str, tuple[Any, dict[str, str], dict[str, Any]]] = {
    "planes": (kernels._planes, NORMALISED | {"size": WHOLE, "blocks": WHOLE}, CONSTANTS),
    "planes in half": (
        kernels._planes,
        NORMALISED | {"out": "*bf16", "size": WHOLE, "blocks": WHOLE},
        CONSTANTS,
    ),
    "interleaved": (kernels._interleaved, NORMALISED | {"total": WHOLE}, CONSTANTS),
    "picked": (
        kernels._picked,
        NORMALISED | PICKED | SHAPE | dict.fromkeys(STRIDES, WHOLE) | {"fill": "fp32"},
        CONSTANTS | {"CHANNELS_LAST": True},
    ),
    "moved": (
        augment_kernels._moved,
        AUGMENTED
        | {"images": BYTES, "backward": FLOATS, "blocks": WHOLE}
        | dict.fromkeys((f"{axis}_stride" for axis in "nchw"), WHOLE),
        {"BLOCK": 1024},
    ),
    "coloured": (
        augment_kernels._coloured,
        AUGMENTED | {"erased": FLOATS, "blocks": WHOLE},
        {"BLOCK": 1024},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_compiles_for_hopper(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kernel, types, constants = CASES[name]
    known = types | dict.fromkeys(constants, "constexpr")
    signature = {argument: known[argument] for argument in kernel.arg_names}
    made = triton.compile(
        ASTSource(kernel, signature, constants), target=HOPPER, options={"enable_fp_fusion": False}
    )
    ptx = made.asm["ptx"]
    assert len(made.asm["cubin"]) > 0
    # In double precision a GPU is slow: only the mean of a whole picture, once for each block, is worth it.
    assert (".f64" in ptx) == (name == "coloured")
