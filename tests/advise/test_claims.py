from __future__ import annotations

import os
from math import inf
from pathlib import Path

import pytest

from perfsuite.advise.claims import CLAIMS, Claim, Claimed, Finding, Row, Stall, judge, row_of
from perfsuite.advise.claims_measured import CACHE, nothing_compiled
from perfsuite.advise.claims_page import page
from perfsuite.advise.fastest import surely_fastest
from perfsuite.judge.verdict import Interval


def row(name: str, low: float, high: float, first: float | None = None) -> Row:
    middle = (low + high) / 2
    return Row(name, 100.0 * middle, Interval(low, high, 0.99), middle, 20, first)


def claimed(*training: Row, memory: dict[str, int] | None = None) -> Claimed:
    return Claimed(
        settings={"machine": "a machine, GPU none"},
        items_per_call=32,
        tables={"training": (row("eager", 1, 1), *training)},
        memory=memory or {},
        memory_of="bytes kept",
        stalls=(Stall("0 workers", 0.25),),
        refused={"bf16": "bf16: loss off by 40 % | not timed"},
    )


@pytest.mark.parametrize(
    ("low", "high", "finding"),
    [
        (1.2, 1.3, Finding.MET),
        (1.21, inf, Finding.MET),
        (1.1, 1.19, Finding.NOT_MET),
        (1.1, 1.2, Finding.UNCLEAR),
        (-inf, inf, Finding.UNCLEAR),
    ],
)
def test_a_claim_is_met_only_by_its_whole_interval(low: float, high: float, finding: Finding) -> None:
    assert judge(Interval(low, high, 0.99), 1.2) is finding


def test_what_was_refused_is_not_measured_and_says_why() -> None:
    finding, shown = claimed().finding(Claim("AMP trains 1.5x", "training", "bf16", 1.5))
    assert finding is Finding.NOT_MEASURED
    assert "loss off" in shown


@pytest.mark.parametrize(("bytes_kept", "finding"), [(50, Finding.MET), (51, Finding.NOT_MET)])
def test_a_memory_claim_is_a_ceiling_without_noise(bytes_kept: int, finding: Finding) -> None:
    found = claimed(memory={"eager": 100, "bf16": bytes_kept})
    assert found.finding(Claim("", "memory", "bf16", 0.5))[0] is finding


def test_ratios_become_a_factor_with_its_interval() -> None:
    found = row_of("fast", [1.9, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.1], 200.0)
    assert found.estimate == 2.0
    assert found.speedup.low == 1.9
    assert found.speedup.high == 2.1
    assert found.blocks == 10


def test_compiling_is_paid_back_by_what_each_call_saves() -> None:
    eager, fast = row("eager", 1, 1), row("compiled", 2, 2, first=16.0)
    assert fast.break_even_calls(eager, 32) == pytest.approx(100)  # 0.32 s a call against 0.16
    assert row("compiled", 0.9, 0.9, first=16.0).break_even_calls(eager, 32) is None


@pytest.mark.parametrize(("share", "loading", "step"), [(0.0, 1.0, inf), (0.75, 4.0, 4 / 3), (1.0, inf, 1.0)])
def test_the_bounds_are_amdahl_s(share: float, loading: float, step: float) -> None:
    stall = Stall("", share)
    assert stall.loading_bound == pytest.approx(loading)
    assert stall.step_bound == pytest.approx(step)


def test_the_page_has_every_claim_every_arm_and_the_command() -> None:
    shown = page(claimed(row("compiled", 1.3, 1.4, first=30.0), memory={"eager": 8}), "perfsuite claims --x")
    assert "`perfsuite claims --x`" in shown
    for claim in CLAIMS:
        assert claim.words in shown
    assert "| compiled | 135 | 1.35x | 1.30-1.40 | 20 | 30 s |" in shown
    assert "| torch.compile trains 1.2x | 1.35x (1.30-1.40, n=20) | met |" in shown
    assert "40 % \\| not timed" in shown
    assert "not measured, no GPU here" in shown


def test_too_few_blocks_are_said() -> None:
    assert "too few blocks" in page(claimed(row("compiled", -inf, inf)), "")


@pytest.mark.parametrize(
    ("intervals", "chosen"),
    [
        ({}, "eager"),
        ({"slow": (0.5, 0.9)}, "eager"),
        ({"perhaps": (0.99, 3.0)}, "eager"),
        ({"sure": (1.1, 1.2), "perhaps": (0.99, 3.0)}, "sure"),
        ({"surer": (1.3, 1.4), "wide": (1.1, 9.0)}, "surer"),
    ],
)
def test_the_chooser_never_leaves_eager_for_a_perhaps(
    intervals: dict[str, tuple[float, float]], chosen: str
) -> None:
    assert surely_fastest({name: Interval(*ends, 0.99) for name, ends in intervals.items()}) == chosen


@pytest.mark.parametrize("before", [None, "elsewhere"])
def test_the_first_call_finds_nothing_compiled(before: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CACHE, raising=False)
    if before is not None:
        monkeypatch.setenv(CACHE, before)
    with nothing_compiled():
        folder = Path(os.environ[CACHE])
        assert folder.is_dir()
        assert not list(folder.iterdir())
    assert not folder.exists()
    assert os.environ.get(CACHE) == before
