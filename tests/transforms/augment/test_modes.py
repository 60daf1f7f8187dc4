"""The description: how many transforms, which numbers belong to which sample."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from perfsuite.transforms.augment import counter_rng
from perfsuite.transforms.augment.counter_rng import epoch_uniforms, sample_uniforms, uniforms
from perfsuite.transforms.augment.modes import (
    DRAW_FIELDS,
    MODES,
    AugmentationMode,
    Draw,
    Mirror,
    draw,
    draws,
    epoch_draws,
)


@pytest.mark.parametrize(("mode", "transforms"), [("conservative", 3), ("moderate", 6), ("aggressive", 8)])
def test_a_mode_has_so_many_transforms(mode: str, transforms: int) -> None:
    assert len(MODES[mode].operations) == transforms


@pytest.mark.parametrize("mode", MODES)
def test_the_same_sample_of_the_same_epoch_gets_the_same_draw(mode: str) -> None:
    assert draw(mode, seed=42, epoch=1, index=5) == draw(mode, seed=42, epoch=1, index=5)


@pytest.mark.parametrize("other", [{"seed": 43}, {"epoch": 2}, {"index": 6}])
def test_seed_epoch_and_index_each_change_the_draw(other: dict[str, int]) -> None:
    sample = {"seed": 42, "epoch": 1, "index": 5}
    assert draw("moderate", **sample) != draw("moderate", **(sample | other))


@pytest.mark.parametrize("mode", MODES)
def test_many_draws_are_the_single_draws_in_any_order(mode: str) -> None:
    indices = [9, 0, 3, 3, 70_000]
    together = draws(mode, 42, 3, indices)
    assert [together[i] for i in range(5)] == [draw(mode, 42, 3, index) for index in indices]


def test_a_whole_epoch_is_its_single_draws() -> None:
    epoch = epoch_draws("aggressive", 42, 3, samples=20)
    assert [epoch[i] for i in range(20)] == [draw("aggressive", 42, 3, i) for i in range(20)]


def by_numpy(seed: int, epoch: int, index: int) -> list[float]:
    """Philox asked for one sample at a time, and thrown away."""
    bits = np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64), counter=[4 * index, 0, 0, 0])
    return np.random.Generator(bits).random(16).tolist()


# More than are kept at once, so that each is made again.
STREAMS = [(42, 0), (42, 1), (7, 0), (2**64 - 1, 2), (0, 0), (1, 2**40)]
INDICES = [70_000, 0, 2**61, 3]


def asked_in_turns() -> bool:
    """Each way of asking gives numpy's own numbers, whatever was asked between."""
    for index in INDICES:
        for seed, epoch in STREAMS:
            expected = by_numpy(seed, epoch, index)
            if uniforms(seed, epoch, [index, 5, index])[[0, 2]].tolist() != [expected] * 2:
                return False
            if sample_uniforms(seed, epoch, index) != expected:
                return False
    return all(
        epoch_uniforms(seed, epoch, 9)[8].tolist() == by_numpy(seed, epoch, 8) for seed, epoch in STREAMS
    )


def test_the_numbers_are_philox_s_and_do_not_depend_on_what_was_asked_before() -> None:
    assert asked_in_turns()


def test_threads_that_ask_at_once_do_not_disturb_each_other() -> None:
    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(lambda _: asked_in_turns(), range(12)))


def test_one_stream_for_two_threads_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: a stream that another reader moves on gives other numbers."""
    of_all = counter_rng._PhiloxStream(42, 0)
    monkeypatch.setattr(counter_rng, "_stream", lambda seed, epoch: of_all)
    assert not asked_in_turns()


def test_neighboring_epochs_share_no_draw() -> None:
    first, second = (epoch_draws("moderate", 42, epoch, 500).column("degrees") for epoch in (0, 1))
    assert not set(first) & set(second)


def test_draws_stay_within_what_the_mode_says_and_reach_all_of_it() -> None:
    epoch = epoch_draws("aggressive", 1, 0, 4000)
    for name, low, high in [
        ("degrees", -30, 30),
        ("zoom", 0.8, 1.25),
        ("shift_x", -0.1, 0.1),
        ("contrast", 0.6, 1.4),
    ]:
        column = epoch.column(name)
        width = high - low
        assert low <= column.min() < low + 0.01 * width
        assert high - 0.01 * width < column.max() < high
        assert np.histogram(column, bins=10, range=(low, high))[0].min() > 320


def test_half_of_the_images_are_mirrored_and_a_quarter_erased() -> None:
    epoch = epoch_draws("aggressive", 1, 0, 4000)
    assert abs(epoch.column("mirror").mean() - 0.5) < 0.03
    assert abs((epoch.column("erase_height") > 0).mean() - 0.25) < 0.03


def test_what_is_erased_lies_inside() -> None:
    epoch = epoch_draws("aggressive", 1, 0, 4000)
    assert (epoch.column("erase_top") + epoch.column("erase_height") <= 1 + 1e-12).all()
    assert (epoch.column("erase_left") + epoch.column("erase_width") <= 1 + 1e-12).all()


def test_the_columns_of_a_draw_are_not_correlated() -> None:
    rows = epoch_draws("aggressive", 7, 0, 4000).rows[
        :, [DRAW_FIELDS.index(n) for n in ("mirror", "degrees", "zoom")]
    ]
    assert np.abs(np.corrcoef(rows.T) - np.eye(3)).max() < 0.06


def test_modes_share_what_they_have_in_common() -> None:
    mild, strong = (draw(mode, 42, 0, 11) for mode in ("conservative", "aggressive"))
    assert mild.mirror == strong.mirror


def test_no_mode_draws_nothing() -> None:
    assert draw("none", 42, 0, 0) == Draw()


@pytest.mark.parametrize("bad", [{"seed": -1}, {"epoch": -1}, {"index": -1}])
def test_negative_keys_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected 0 or more"):
        draw("moderate", **({"seed": 1, "epoch": 1, "index": 1} | bad))


def test_a_negative_index_among_others_is_refused() -> None:
    with pytest.raises(ValueError, match="sample index -3, expected 0 or more"):
        draws("moderate", 1, 1, [4, -3, 2])


def test_an_unknown_mode_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'wild', expected one of none, conservative"):
        draw("wild", 1, 1, 1)


def test_an_operation_stands_in_a_mode_once() -> None:
    with pytest.raises(ValueError, match="at most once"):
        AugmentationMode("twice", (Mirror(), Mirror(0.1)))
