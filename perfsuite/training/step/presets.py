"""Ways to run a training step, as values that compose: `BF16 + CHANNELS_LAST + COMPILED`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

import torch

from perfsuite.errors import UsageError

Precision = Literal["float32", "ieee", "tf32", "bf16", "fp16"]
CompileMode = Literal["off", "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"]
OptimizerImplementation = Literal["auto", "fused", "foreach", "loop"]

AUTOCAST_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
# "high" is TF32 in torch's words, "highest" IEEE. torch's default is neither: TF32 in cuDNN, IEEE in cuBLAS.
TF32_ALLOWED = {"ieee": False, "tf32": True}


@dataclass(frozen=True, slots=True)
class Preset:
    """How a step computes, never what: every preset must give the same loss within its precision.

    >>> (BF16 + CHANNELS_LAST).name
    'bf16+channels_last'
    """

    precision: Precision = "float32"  # float32 leaves torch's own TF32 settings alone
    channels_last: bool = False
    compile_mode: CompileMode = "off"
    cuda_graphs: bool = False
    optimizer_implementation: OptimizerImplementation = "auto"
    checkpointing: bool = False  # recompute each block's activations in the backward pass
    clip_norm: float | None = None
    accumulate: int = 1  # batches to one optimizer step

    def __post_init__(self) -> None:
        _check_choice("precision", self.precision, get_args(Precision))
        _check_choice("compile_mode", self.compile_mode, get_args(CompileMode))
        _check_choice("optimizer_path", self.optimizer_implementation, get_args(OptimizerImplementation))
        if self.accumulate < 1:
            raise UsageError(f"preset: accumulate is {self.accumulate}, expected 1 or more batches")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise UsageError(f"preset: clip_norm is {self.clip_norm}, expected above 0; None clips nothing")
        if self.checkpointing and self.is_compiled:
            raise UsageError(
                "preset: checkpointing and compile_mode exclude each other here, because the compiled "
                "recomputation updates BatchNorm's running statistics twice; choose one"
            )
        if self.cuda_graphs and (self.is_compiled or self.checkpointing):
            raise UsageError(
                "preset: cuda_graphs captures the uncompiled, unrecomputed step; with compile choose "
                "compile_mode='reduce-overhead', which captures the compiled one"
            )

    @property
    def is_compiled(self) -> bool:
        return self.compile_mode != "off"

    @property
    def autocast_dtype(self) -> torch.dtype | None:
        return AUTOCAST_DTYPES.get(self.precision)

    @property
    def needs_scaler(self) -> bool:
        """fp16 alone: its gradients fall out of range, bf16 has float32's exponent."""
        return self.precision == "fp16"

    @property
    def name(self) -> str:
        """What differs from plain eager float32, in an order that does not depend on how it was composed."""
        return (
            "+".join(_format_field(field.name, getattr(self, field.name)) for field in self._set_fields())
            or "eager"
        )

    def __add__(self, other: Preset) -> Preset:
        """Both at once; two different words on one matter are an error, not a silent last-one-wins.

        >>> (BF16 + FP16)
        Traceback (most recent call last):
        perfsuite.errors.UsageError: preset: bf16 and fp16 both set precision; choose one
        """
        mine = {field.name: getattr(self, field.name) for field in self._set_fields()}
        for field in other._set_fields():
            wanted = getattr(other, field.name)
            if mine.get(field.name, wanted) != wanted:
                one, two = _format_field(field.name, mine[field.name]), _format_field(field.name, wanted)
                raise UsageError(f"preset: {one} and {two} both set {field.name}; choose one")
            mine[field.name] = wanted
        return replace(Preset(), **mine)

    def _set_fields(self) -> list[Any]:
        return [field for field in fields(self) if getattr(self, field.name) != field.default]

    def autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        if self.autocast_dtype is None:
            return nullcontext()
        return torch.autocast(device.type, dtype=self.autocast_dtype)

    def matmul_precision(self) -> AbstractContextManager[None]:
        """Hold TF32 on or off for matrix products and convolutions alike while the block runs.

        torch's switches belong to the process, so they are put back; "float32" leaves them as they are.
        """
        allowed = TF32_ALLOWED.get(self.precision)
        return nullcontext() if allowed is None else _tf32(allowed)


@contextmanager
def _tf32(allowed: bool) -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    _allow_tf32(allowed, allowed)
    try:
        yield
    finally:
        _allow_tf32(*before)


def _allow_tf32(matmul: bool, convolution: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = matmul
    torch.backends.cudnn.allow_tf32 = convolution


def _check_choice(field: str, found: str, expected: tuple[str, ...]) -> None:
    if found not in expected:
        raise UsageError(f"preset: {field} is {found!r}, expected one of {', '.join(expected)}")


def _format_field(field: str, value: Any) -> str:
    if field == "precision":
        return str(value)
    if field == "compile_mode":
        return "compiled" if value == "default" else f"compiled-{value}"
    if field in ("clip_norm", "accumulate"):
        return f"{field}={value:g}"
    return f"{value}" if field == "optimizer_path" else field


EAGER = Preset()
IEEE = Preset(precision="ieee")
TF32 = Preset(precision="tf32")
BF16 = Preset(precision="bf16")
FP16 = Preset(precision="fp16")
CHANNELS_LAST = Preset(channels_last=True)
COMPILED = Preset(compile_mode="default")
REDUCE_OVERHEAD = Preset(compile_mode="reduce-overhead")
MAX_AUTOTUNE = Preset(compile_mode="max-autotune")
CUDA_GRAPHS = Preset(cuda_graphs=True)
FUSED = Preset(optimizer_implementation="fused")
FOREACH = Preset(optimizer_implementation="foreach")
ACTIVATION_CHECKPOINTING = Preset(checkpointing=True)
COMBINED = BF16 + CHANNELS_LAST + COMPILED + FUSED

NAMED_PRESETS = {
    "eager": EAGER,
    "ieee": IEEE,
    "tf32": TF32,
    "bf16": BF16,
    "fp16": FP16,
    "channels_last": CHANNELS_LAST,
    "compiled": COMPILED,
    "compiled-reduce-overhead": REDUCE_OVERHEAD,
    "compiled-max-autotune": MAX_AUTOTUNE,
    "cuda_graphs": CUDA_GRAPHS,
    "fused": FUSED,
    "foreach": FOREACH,
    "checkpointing": ACTIVATION_CHECKPOINTING,
    "combined": COMBINED,
}


def parse_preset(text: str) -> Preset:
    """A preset from its name, as given at a command line.

    >>> parse_preset("bf16+channels_last") == BF16 + CHANNELS_LAST
    True
    """
    composed = EAGER
    for word in text.split("+"):
        if word not in NAMED_PRESETS:
            raise UsageError(
                f"preset: {word!r} is not known, expected {', '.join(NAMED_PRESETS)}; join several with '+'"
            )
        composed = composed + NAMED_PRESETS[word]
    return composed
