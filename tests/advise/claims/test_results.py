from __future__ import annotations

import os
from math import inf
from pathlib import Path
from typing import Any

import pytest

from perfsuite.advise.claims import measure
from perfsuite.advise.claims.advice import advise_on_claims
from perfsuite.advise.claims.compile_cache import CACHE_DIR_VARIABLE, empty_compile_cache
from perfsuite.advise.claims.markdown import render_claims
from perfsuite.advise.claims.measure import ClaimsConfig, measure_claims
from perfsuite.advise.claims.process_times import ProcessTimes
from perfsuite.advise.claims.results import (
    CLAIMS,
    DIRECT_LOADER,
    Claim,
    ClaimOutcome,
    ClaimsReport,
    LoaderStall,
    SpeedupRow,
    judge_speedup,
    speedup_row,
)
from perfsuite.advise.preset_search import pick_fastest
from perfsuite.cli import main
from perfsuite.errors import PerfsuiteError
from perfsuite.judge.verdict import Interval


def row(name: str, low: float, high: float, first: float | None = None) -> SpeedupRow:
    middle = (low + high) / 2
    return SpeedupRow(name, 100.0 * middle, Interval(low, high, 0.99), middle, 20, first)


def claimed(*training: SpeedupRow, memory: dict[str, int] | None = None, **more: Any) -> ClaimsReport:
    return ClaimsReport(
        settings={"machine": "a machine, GPU none", "device": "cpu"},
        items_per_call=32,
        tables={"training": (row("eager", 1, 1), *training), **more.pop("tables", {})},
        memory=memory or {},
        memory_metric="bytes kept",
        refused={"bf16": "bf16: loss off by 40 % | not timed"},
        **({"stalls": (LoaderStall(DIRECT_LOADER, (0.25,) * 20),)} | more),
    )


@pytest.mark.parametrize(
    ("low", "high", "finding"),
    [
        (1.2, 1.3, ClaimOutcome.MET),
        (1.21, inf, ClaimOutcome.MET),
        (1.1, 1.19, ClaimOutcome.NOT_MET),
        (1.1, 1.2, ClaimOutcome.UNCLEAR),
        (-inf, inf, ClaimOutcome.UNCLEAR),
    ],
)
def test_a_claim_is_met_only_by_its_whole_interval(low: float, high: float, finding: ClaimOutcome) -> None:
    assert judge_speedup(Interval(low, high, 0.99), 1.2) is finding


def test_what_was_refused_is_not_measured_and_says_why() -> None:
    finding, shown = claimed().judge_claim(Claim("AMP trains 1.5x", "training", "bf16", 1.5))
    assert finding is ClaimOutcome.NOT_MEASURED
    assert "loss off" in shown


@pytest.mark.parametrize(("bytes_kept", "finding"), [(50, ClaimOutcome.MET), (51, ClaimOutcome.NOT_MET)])
def test_a_memory_claim_is_a_ceiling_without_noise(bytes_kept: int, finding: ClaimOutcome) -> None:
    found = claimed(memory={"eager": 100, "bf16": bytes_kept})
    assert found.judge_claim(Claim("", "memory", "bf16", 0.5))[0] is finding


def test_ratios_become_a_factor_with_its_interval() -> None:
    found = speedup_row("fast", [1.9, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.1], 200.0)
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
    stall = LoaderStall("", (share,) * 20)
    assert stall.loading_speedup_bound.low == stall.loading_speedup_bound.high == pytest.approx(loading)
    assert stall.step_speedup_bound == pytest.approx(step)


def test_the_page_has_every_claim_every_arm_and_the_command() -> None:
    shown = render_claims(
        claimed(row("compiled", 1.3, 1.4, first=30.0), memory={"eager": 8}), "perfsuite claims --x"
    )
    assert "`perfsuite claims --x`" in shown
    for claim in CLAIMS:
        assert claim.statement in shown
    assert "| compiled | 135 | 1.35x | 1.30-1.40 | 20 | 30 s |" in shown
    assert "| torch.compile trains 1.2x | 1.35x (1.30-1.40, n=20) | met |" in shown
    assert "40 % \\| not timed" in shown
    assert "not measured, no GPU here" in shown
    assert "| direct, 2 workers | 25% | 20 | 1.33-1.33 | 4.00x |" in shown


EPOCH = Claim("an epoch sooner", "epoch", DIRECT_LOADER, 1.22)
BUSY = Claim("busy", "utilization", DIRECT_LOADER, 0.9)


@pytest.mark.parametrize(
    ("shares", "finding"),
    [
        ((0.25,) * 20, ClaimOutcome.MET),
        ((0.1,) * 20, ClaimOutcome.NOT_MET),
        ((0.1,) * 10 + (0.25,) * 10, ClaimOutcome.UNCLEAR),
        ((0.25,) * 3, ClaimOutcome.UNCLEAR),  # too few for an interval
    ],
)
def test_what_faster_loading_can_give_is_judged_by_amdahl(
    shares: tuple[float, ...], finding: ClaimOutcome
) -> None:
    assert claimed(stalls=(LoaderStall(DIRECT_LOADER, shares),)).judge_claim(EPOCH)[0] is finding


@pytest.mark.parametrize(
    ("busy", "finding"),
    [(0.9, ClaimOutcome.MET), (0.6, ClaimOutcome.NOT_MET), (None, ClaimOutcome.NOT_MEASURED)],
)
def test_a_gpu_is_busy_or_not_or_not_there(busy: float | None, finding: ClaimOutcome) -> None:
    assert claimed(stalls=(LoaderStall(DIRECT_LOADER, (0.1,) * 20, busy),)).judge_claim(BUSY)[0] is finding


def test_every_claim_is_about_something_that_is_measured() -> None:
    parts = {"training", "inference", "memory", "loading", "bottleneck", "epoch", "utilization"}
    assert {claim.table for claim in CLAIMS} == parts


def test_what_compiled_code_keeps_is_said_not_to_be_seen() -> None:
    found = claimed(row("combined", 1, 1), memory={"eager": 100})
    finding, shown = found.judge_claim(Claim("", "memory", "combined", 0.5))
    assert finding is ClaimOutcome.NOT_MEASURED
    assert "cannot be seen on a CPU" in shown


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(1.1, 2.0, "it is not the limit"), (0.4, 0.9, "it is the limit"), (0.9, 1.1, "not settled")],
)
def test_the_bottleneck_is_named_where_it_is_sure(low: float, high: float, verdict: str) -> None:
    tables = {"bottleneck": (row("training step", 1, 1), row(DIRECT_LOADER, low, high))}
    assert verdict in render_claims(claimed(tables=tables), "")


def test_advice_is_measured_for_this_machine_and_a_rule_of_thumb_elsewhere() -> None:
    found = claimed(row("channels_last", 1.2, 1.3), row("compiled", 0.9, 1.5), memory={"eager": 8})
    given = {one.machine: one for one in advise_on_claims(found)}
    assert "`--channels-last` (1.20-1.30x)" in given["here, without a GPU"].text
    assert given["here, without a GPU"].is_measured
    assert not given["a small GPU"].is_measured
    assert not given["a large GPU"].is_measured
    assert "as it comes" in next(iter(advise_on_claims(claimed()))).text


def test_whole_processes_are_shown_by_their_three_clocks() -> None:
    times = (ProcessTimes(3.0, 2.0, 0.5), ProcessTimes(5.0, 4.0, 0.5), ProcessTimes(4.0, 3.0, 0.5))
    shown = render_claims(claimed(processes={"no workers": times}), "")
    assert "| no workers | 4.0 (3.0 to 5.0) | 3.0 (2.0 to 4.0) | 0.5 (0.5 to 0.5) | 3 |" in shown


def planted_parts(question: ClaimsConfig, image_dir: Path) -> Any:
    def interrupted(found: ClaimsReport, refused: dict[str, str]) -> Any:
        raise KeyboardInterrupt

    return {
        "first": lambda found, refused: {"tables": {"training": (row("eager", 1, 1), row("bf16", 2, 2))}},
        "second": interrupted,
        "third": interrupted,
    }


@pytest.mark.parametrize("is_written", [True, False])
def test_a_run_that_is_stopped_keeps_what_was_done(
    is_written: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(measure, "_parts", planted_parts)
    path = tmp_path / "claims.md"
    assert main(["claims", *(["--write", str(path)] if is_written else [])]) == 130
    kept = path.read_text() if is_written else capsys.readouterr().out
    assert "| AMP trains 1.5x | 2.00x (2.00-2.00, n=20) | met |" in kept
    assert "not finished; not measured yet: second; third" in kept
    assert "| the GPU is busy 90 % of an epoch | not reached | not measured |" in kept


def test_a_part_that_cannot_be_measured_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def impossible(found: ClaimsReport, refused: dict[str, str]) -> Any:
        raise PerfsuiteError("planted: no")

    parts = planted_parts(ClaimsConfig(), Path()) | {"second": impossible}
    parts["third"] = lambda found, refused: {"memory": {"eager": 1}}
    monkeypatch.setattr(measure, "_parts", lambda question, image_dir: parts)
    found = measure_claims(ClaimsConfig(), Path(), lambda _: None, lambda _: None)
    assert found.refused == {"second": "planted: no"}
    assert found.memory == {"eager": 1}
    assert found.pending == ()


def test_too_few_blocks_are_said() -> None:
    assert "too few blocks" in render_claims(claimed(row("compiled", -inf, inf)), "")


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
    assert pick_fastest({name: Interval(*ends, 0.99) for name, ends in intervals.items()}) == chosen


@pytest.mark.parametrize("before", [None, "elsewhere"])
def test_the_first_call_finds_nothing_compiled(before: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CACHE_DIR_VARIABLE, raising=False)
    if before is not None:
        monkeypatch.setenv(CACHE_DIR_VARIABLE, before)
    with empty_compile_cache():
        folder = Path(os.environ[CACHE_DIR_VARIABLE])
        assert folder.is_dir()
        assert not list(folder.iterdir())
    assert not folder.exists()
    assert os.environ.get(CACHE_DIR_VARIABLE) == before
