from __future__ import annotations

import itertools

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
def test_a_preset_says_what_differs_from_eager(composed: Preset, name: str) -> None:
    assert composed.name == name


def test_composing_does_not_depend_on_the_order() -> None:
    parts = (BF16, CHANNELS_LAST, COMPILED, FUSED)
    composed = {sum(order, EAGER) for order in itertools.permutations(parts)}
    assert composed == {COMBINED}


def test_the_same_word_twice_is_one_word() -> None:
    assert BF16 + BF16 == BF16


@pytest.mark.parametrize("one", NAMED_PRESETS)
def test_every_name_is_read_back(one: str) -> None:
    assert parse_preset(one) == NAMED_PRESETS[one]
    assert parse_preset(NAMED_PRESETS[one].name) == NAMED_PRESETS[one]


@pytest.mark.parametrize(
    ("first", "second", "matter"),
    [
        (BF16, FP16, "precision"),
        (IEEE, TF32, "precision"),
        (FUSED, FOREACH, "optimizer_path"),
        (COMPILED, REDUCE_OVERHEAD, "compile_mode"),
        (COMPILED, ACTIVATION_CHECKPOINTING, "checkpointing"),
        (CUDA_GRAPHS, COMPILED, "cuda_graphs"),
    ],
)
def test_contradictions_are_refused_with_the_matter_named(first: Preset, second: Preset, matter: str) -> None:
    with pytest.raises(UsageError, match=matter):
        first + second


@pytest.mark.parametrize(
    "mistake",
    [
        {"precision": "fp8"},
        {"compile_mode": "fast"},
        {"accumulate": 0},
        {"clip_norm": 0.0},
        {"clip_norm": -1},
    ],
)
def test_settings_without_a_meaning_are_refused(mistake: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(mistake))):
        Preset(**mistake)  # type: ignore[arg-type]


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'fp8' is not known, expected eager.*combined"):
        parse_preset("bf16+fp8")


@pytest.mark.parametrize(("chosen", "allowed"), [(IEEE, False), (TF32, True)])
def test_tf32_is_held_for_products_and_convolutions_and_put_back(chosen: Preset, allowed: bool) -> None:
    switches = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [switch.allow_tf32 for switch in switches]
    with pytest.raises(RuntimeError, match="planted"), chosen.matmul_precision():  # noqa: PT012
        assert [switch.allow_tf32 for switch in switches] == [allowed, allowed]
        raise RuntimeError("planted")
    assert [switch.allow_tf32 for switch in switches] == before


def test_only_fp16_needs_a_scaler() -> None:
    assert [name for name, one in NAMED_PRESETS.items() if one.needs_scaler] == ["fp16"]
