from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

from perfsuite.errors import UsageError
from perfsuite.training.step.presets import (
    ACTIVATION_CHECKPOINTING,
    BF16,
    CHANNELS_LAST,
    COMBINED,
    COMPILED,
    CUDA_GRAPHS,
    EAGER,
    FOREACH,
    FP16,
    FUSED,
    IEEE,
    NAMED_PRESETS,
    REDUCE_OVERHEAD,
    TF32,
    Preset,
    parse_preset,
)


@pytest.mark.parametrize(
    ("composed", "name"),
    [
        (EAGER, "eager"),
        (CHANNELS_LAST + BF16, "bf16+channels_last"),
        (COMBINED, "bf16+channels_last+compiled+fused"),
        (REDUCE_OVERHEAD + TF32, "tf32+compiled-reduce-overhead"),
        (Preset(accumulate=4, clip_norm=0.5), "clip_norm=0.5+accumulate=4"),
    ],
)
def test_a_preset_s_name_lists_what_differs_from_eager(composed: Preset, name: str) -> None:
    assert composed.name == name


def test_composing_does_not_depend_on_the_order() -> None:
    presets = (BF16, CHANNELS_LAST, COMPILED, FUSED)
    composed = {sum(order, EAGER) for order in itertools.permutations(presets)}
    assert composed == {COMBINED}


def test_adding_a_preset_to_itself_changes_nothing() -> None:
    assert BF16 + BF16 == BF16


@pytest.mark.parametrize("name", NAMED_PRESETS)
def test_every_name_is_parsed_to_its_preset(name: str) -> None:
    assert parse_preset(name) == NAMED_PRESETS[name]
    assert parse_preset(NAMED_PRESETS[name].name) == NAMED_PRESETS[name]


@pytest.mark.parametrize(
    ("first", "second", "field"),
    [
        (BF16, FP16, "precision"),
        (IEEE, TF32, "precision"),
        (FUSED, FOREACH, "optimizer_implementation"),
        (COMPILED, REDUCE_OVERHEAD, "compile_mode"),
        (COMPILED, ACTIVATION_CHECKPOINTING, "activation_checkpointing"),
        (CUDA_GRAPHS, COMPILED, "cuda_graphs"),
    ],
)
def test_contradictions_are_refused_and_name_the_field(first: Preset, second: Preset, field: str) -> None:
    with pytest.raises(UsageError, match=field):
        first + second


@pytest.mark.parametrize(
    "setting",
    [
        {"precision": "fp8"},
        {"compile_mode": "fast"},
        {"accumulate": 0},
        {"clip_norm": 0.0},
        {"clip_norm": -1},
    ],
)
def test_invalid_settings_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(setting))):
        Preset(**setting)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'fp8' is not known, expected eager.*combined"):
        parse_preset("bf16+fp8")


@pytest.mark.parametrize(("preset", "allowed"), [(IEEE, False), (TF32, True)])
def test_tf32_is_set_for_matrix_products_and_convolutions_and_restored(preset: Preset, allowed: bool) -> None:
    switches = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [switch.allow_tf32 for switch in switches]
    with pytest.raises(RuntimeError, match="planted"), preset.matmul_precision():  # noqa: PT012
        assert [switch.allow_tf32 for switch in switches] == [allowed, allowed]
        raise RuntimeError("planted")
    assert [switch.allow_tf32 for switch in switches] == before


def test_only_fp16_needs_a_scaler() -> None:
    assert [name for name, preset in NAMED_PRESETS.items() if preset.needs_scaler] == ["fp16"]
