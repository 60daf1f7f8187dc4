"""Presets: ways to compute a training step, as values that compose: `BF16 + CHANNELS_LAST + COMPILED`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Literal, get_args

import torch

from perfsuite.errors import UsageError

Precision = Literal["float32", "ieee", "tf32", "bf16", "fp16"]
CompileMode = Literal["off", "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"]
OptimizerImplementation = Literal["auto", "fused", "foreach", "loop"]

AUTOCAST_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
# torch's default is neither: TF32 for convolutions (cuDNN), IEEE for matrix products (cuBLAS).
TF32_ALLOWED = {"ieee": False, "tf32": True}


def _format_compile_mode(mode: str) -> str:
    return "compiled" if mode == "default" else f"compiled-{mode}"


def _format_setting(setting: Field[Any], value: Any) -> str:
    text: str = setting.metadata["format"](value)
    return text


@dataclass(frozen=True, slots=True)
class Preset:
    """How a step is computed.

    The loss and the gradients stay the same within the precision, except with `clip_norm` and `accumulate`,
    which change the training.

    >>> (BF16 + CHANNELS_LAST).name
    'bf16+channels_last'
    """

    # Each field says how its value appears in the preset's name.
    # float32 leaves torch's own TF32 settings unchanged.
    precision: Precision = field(default="float32", metadata={"format": str})
    channels_last: bool = field(default=False, metadata={"format": lambda _: "channels_last"})
    compile_mode: CompileMode = field(default="off", metadata={"format": _format_compile_mode})
    cuda_graphs: bool = field(default=False, metadata={"format": lambda _: "cuda_graphs"})
    optimizer_implementation: OptimizerImplementation = field(default="auto", metadata={"format": str})
    # Recompute each block's activations in the backward pass.
    activation_checkpointing: bool = field(
        default=False, metadata={"format": lambda _: "activation_checkpointing"}
    )
    clip_norm: float | None = field(default=None, metadata={"format": "clip_norm={:g}".format})
    # Batches per optimizer step.
    accumulate: int = field(default=1, metadata={"format": "accumulate={:g}".format})

    def __post_init__(self) -> None:
        _check_choice("precision", self.precision, get_args(Precision))
        _check_choice("compile_mode", self.compile_mode, get_args(CompileMode))
        _check_choice(
            "optimizer_implementation", self.optimizer_implementation, get_args(OptimizerImplementation)
        )
        if self.accumulate < 1:
            raise UsageError(f"preset: accumulate is {self.accumulate}, expected 1 or more batches")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise UsageError(f"preset: clip_norm is {self.clip_norm}, expected above 0; None clips nothing")
        if self.activation_checkpointing and self.is_compiled:
            raise UsageError(
                "preset: activation_checkpointing and compile_mode are both set, expected one of them: the "
                "compiled recomputation updates BatchNorm's running statistics twice; choose one"
            )
        if self.cuda_graphs and (self.is_compiled or self.activation_checkpointing):
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
        """Whether gradients need scaling: those of fp16 underflow, while bf16 has float32's exponent."""
        return self.precision == "fp16"

    @property
    def name(self) -> str:
        """What differs from plain eager float32, in the order of the fields.

        `eager` if nothing differs.
        """
        settings = self._changed_settings()
        return (
            "+".join(_format_setting(setting, getattr(self, setting.name)) for setting in settings) or "eager"
        )

    def __add__(self, other: Preset) -> Preset:
        """Combine two presets; two different values of one field are an error.

        >>> (BF16 + FP16)
        Traceback (most recent call last):
        perfsuite.errors.UsageError: preset: bf16 and fp16 both set precision; choose one
        """
        values = {setting.name: getattr(self, setting.name) for setting in self._changed_settings()}
        for setting in other._changed_settings():
            value = getattr(other, setting.name)
            if values.get(setting.name, value) != value:
                mine = _format_setting(setting, values[setting.name])
                theirs = _format_setting(setting, value)
                raise UsageError(f"preset: {mine} and {theirs} both set {setting.name}; choose one")
            values[setting.name] = value
        return replace(Preset(), **values)

    def _changed_settings(self) -> list[Field[Any]]:
        return [setting for setting in fields(self) if getattr(self, setting.name) != setting.default]

    def autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        """The autocast context of the preset's precision; does nothing for float32 and TF32."""
        if self.autocast_dtype is None:
            return nullcontext()
        return torch.autocast(device.type, dtype=self.autocast_dtype)

    def matmul_precision(self) -> AbstractContextManager[None]:
        """Allow or forbid TF32 for matrix products and convolutions in the block.

        torch's switches apply to the whole process, so they are restored; "float32" leaves them unchanged.
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


def _check_choice(field_name: str, value: str, expected: tuple[str, ...]) -> None:
    if value not in expected:
        raise UsageError(f"preset: {field_name} is {value!r}, expected one of {', '.join(expected)}")


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
ACTIVATION_CHECKPOINTING = Preset(activation_checkpointing=True)
COMBINED = BF16 + CHANNELS_LAST + COMPILED + FUSED

SINGLE_PRESETS = (
    EAGER,
    IEEE,
    TF32,
    BF16,
    FP16,
    CHANNELS_LAST,
    COMPILED,
    REDUCE_OVERHEAD,
    MAX_AUTOTUNE,
    CUDA_GRAPHS,
    FUSED,
    FOREACH,
    ACTIVATION_CHECKPOINTING,
)
NAMED_PRESETS = {preset.name: preset for preset in SINGLE_PRESETS} | {"combined": COMBINED}


def parse_preset(text: str) -> Preset:
    """Return the preset of a name, or of several joined with `+`.

    >>> parse_preset("bf16+channels_last") == BF16 + CHANNELS_LAST
    True
    """
    preset = EAGER
    for name in text.split("+"):
        if name not in NAMED_PRESETS:
            raise UsageError(
                f"preset: {name!r} is not known, expected {', '.join(NAMED_PRESETS)}; join several with '+'"
            )
        preset = preset + NAMED_PRESETS[name]
    return preset
