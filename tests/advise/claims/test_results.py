"""Judging claims, the page and the advice on invented measurements; interrupted and failing parts."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import pytest

from perfsuite.advise.claims import measure
from perfsuite.advise.claims.advice import advise_on_claims
from perfsuite.advise.claims.claims import (
    CLAIMS,
    DIRECT_LOADER,
    ClaimOutcome,
    EpochClaim,
    MemoryClaim,
    SpeedupClaim,
    UtilizationClaim,
    judge_speedup,
)
from perfsuite.advise.claims.compile_cache import CACHE_DIR_VARIABLE, empty_compile_cache
from perfsuite.advise.claims.config import ClaimsConfig
from perfsuite.advise.claims.markdown import render_claims
from perfsuite.advise.claims.measure import measure_claims
from perfsuite.advise.claims.parts import Measure
from perfsuite.advise.claims.process_times import ProcessTimes
from perfsuite.advise.claims.results import ClaimsReport, LoaderStall, SpeedupRow, speedup_row
from perfsuite.advise.preset_search import pick_fastest
from perfsuite.advise.time_limit import TimeLimit
from perfsuite.cli import main
from perfsuite.errors import PerfsuiteError
from perfsuite.judge.verdict import Interval


def row(name: str, low: float, high: float, first: float | None = None) -> SpeedupRow:
    middle = (low + high) / 2
    return SpeedupRow(
        name=name,
        items_per_second=100.0 * middle,
        speedup=Interval(low, high, 0.99),
        estimate=middle,
        blocks=20,
        first_call_seconds=first,
    )


def claims_report(*training: SpeedupRow, memory: dict[str, int] | None = None, **more: Any) -> ClaimsReport:
    return ClaimsReport(
        settings={"machine": "a machine, GPU none", "device": "cpu"},
        items_per_call=32,
        tables={"training": (row("eager", 1, 1), *training), **more.pop("tables", {})},
        memory=memory or {},
        memory_metric="bytes kept",
        rejected={"Training step: bf16": "bf16: loss off by 40 % | not timed"},
        **({"stalls": (LoaderStall(DIRECT_LOADER, (0.25,) * 20),)} | more),
    )


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (1.2, 1.3, ClaimOutcome.MET),
        (1.21, inf, ClaimOutcome.MET),
        (1.1, 1.19, ClaimOutcome.NOT_MET),
        (1.1, 1.2, ClaimOutcome.UNCLEAR),
        (-inf, inf, ClaimOutcome.UNCLEAR),
    ],
)
def test_a_claim_is_met_only_by_its_whole_interval(low: float, high: float, outcome: ClaimOutcome) -> None:
    assert judge_speedup(Interval(low, high, 0.99), 1.2) is outcome


def test_a_rejected_variant_is_not_measured_and_has_the_reason() -> None:
    verdict = SpeedupClaim("AMP trains 1.5x", "training", "bf16", 1.5).judge(claims_report())
    assert verdict.outcome is ClaimOutcome.NOT_MEASURED
    assert "loss off" in verdict.evidence


@pytest.mark.parametrize(("saved_bytes", "outcome"), [(50, ClaimOutcome.MET), (51, ClaimOutcome.NOT_MET)])
def test_a_memory_claim_is_a_ceiling_without_noise(saved_bytes: int, outcome: ClaimOutcome) -> None:
    report = claims_report(memory={"eager": 100, "bf16": saved_bytes})
    assert MemoryClaim("", "bf16", 0.5).judge(report).outcome is outcome


def test_ratios_become_a_speedup_with_an_interval() -> None:
    fast = speedup_row("fast", [1.9, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.1], 200.0)
    assert fast.estimate == 2.0
    assert fast.speedup.low == 1.9
    assert fast.speedup.high == 2.1
    assert fast.blocks == 10


def test_compilation_is_paid_back_by_what_each_call_saves() -> None:
    eager, fast = row("eager", 1, 1), row("compiled", 2, 2, first=16.0)
    assert fast.break_even_calls(eager, 32) == pytest.approx(100)  # 0.32 s a call against 0.16
    assert row("compiled", 0.9, 0.9, first=16.0).break_even_calls(eager, 32) is None


@pytest.mark.parametrize(("share", "loading", "step"), [(0.0, 1.0, inf), (0.75, 4.0, 4 / 3), (1.0, inf, 1.0)])
def test_the_bounds_are_amdahl_s(share: float, loading: float, step: float) -> None:
    stall = LoaderStall("", (share,) * 20)
    assert stall.loading_speedup_bound.low == stall.loading_speedup_bound.high == pytest.approx(loading)
    assert stall.step_speedup_bound == pytest.approx(step)


def test_the_page_has_every_claim_every_variant_and_the_command() -> None:
    page = render_claims(
        claims_report(row("compiled", 1.3, 1.4, first=30.0), memory={"eager": 8}), "perfsuite claims --x"
    )
    assert "`perfsuite claims --x`" in page
    for claim in CLAIMS:
        assert claim.statement in page
    assert "| compiled | 135 | 1.35x | 1.30-1.40 | 20 | 30 s |" in page
    assert "| torch.compile trains 1.2x | 1.35x (1.30-1.40, n=20) | met |" in page
    assert "40 % \\| not timed" in page
    assert "not measured, no GPU here" in page
    assert "| direct, 2 workers | 25% | 20 | 1.33-1.33 | 4.00x |" in page


EPOCH = EpochClaim("an epoch sooner", DIRECT_LOADER, 1.22)
BUSY = UtilizationClaim("busy", DIRECT_LOADER, 0.9)


@pytest.mark.parametrize(
    ("shares", "outcome"),
    [
        ((0.25,) * 20, ClaimOutcome.MET),
        ((0.1,) * 20, ClaimOutcome.NOT_MET),
        ((0.1,) * 10 + (0.25,) * 10, ClaimOutcome.UNCLEAR),
        ((0.25,) * 3, ClaimOutcome.UNCLEAR),  # too few for an interval
    ],
)
def test_an_epoch_claim_is_judged_by_amdahl_s_bound(shares: tuple[float, ...], outcome: ClaimOutcome) -> None:
    report = claims_report(stalls=(LoaderStall(DIRECT_LOADER, shares),))
    assert EPOCH.judge(report).outcome is outcome


@pytest.mark.parametrize(
    ("busy", "outcome"),
    [(0.9, ClaimOutcome.MET), (0.6, ClaimOutcome.NOT_MET), (None, ClaimOutcome.NOT_MEASURED)],
)
def test_a_utilization_claim_needs_a_gpu(busy: float | None, outcome: ClaimOutcome) -> None:
    report = claims_report(stalls=(LoaderStall(DIRECT_LOADER, (0.1,) * 20, busy),))
    assert BUSY.judge(report).outcome is outcome


def test_every_claim_is_about_something_that_is_measured() -> None:
    speedups = {claim.table for claim in CLAIMS if isinstance(claim, SpeedupClaim)}
    assert speedups == {"training", "epoch", "inference", "loading", "bottleneck"}
    assert {type(claim) for claim in CLAIMS} == {SpeedupClaim, MemoryClaim, EpochClaim, UtilizationClaim}


def test_the_memory_of_compiled_code_is_not_measured_on_a_cpu() -> None:
    report = claims_report(row("combined", 1, 1), memory={"eager": 100})
    verdict = MemoryClaim("", "combined", 0.5).judge(report)
    assert verdict.outcome is ClaimOutcome.NOT_MEASURED
    assert "on a CPU" in verdict.evidence
    assert "cannot be counted" in verdict.evidence


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(1.1, 2.0, "it is not the bottleneck"), (0.4, 0.9, "it is the bottleneck"), (0.9, 1.1, "is unclear")],
)
def test_the_bottleneck_is_named_where_it_is_certain(low: float, high: float, verdict: str) -> None:
    tables = {"bottleneck": (row("training step", 1, 1), row(DIRECT_LOADER, low, high))}
    assert verdict in render_claims(claims_report(tables=tables), "")


def test_advice_is_measured_for_this_machine_and_a_rule_of_thumb_elsewhere() -> None:
    report = claims_report(row("channels_last", 1.2, 1.3), row("compiled", 0.9, 1.5), memory={"eager": 8})
    by_machine = {advice.machine: advice for advice in advise_on_claims(report)}
    assert "`--channels-last` (1.20-1.30x)" in by_machine["here, without a GPU"].text
    assert by_machine["here, without a GPU"].is_measured
    assert not by_machine["a small GPU"].is_measured
    assert not by_machine["a large GPU"].is_measured
    assert "without further options" in next(iter(advise_on_claims(claims_report()))).text


def test_whole_processes_have_real_user_and_system_times() -> None:
    times = (ProcessTimes(3.0, 2.0, 0.5), ProcessTimes(5.0, 4.0, 0.5), ProcessTimes(4.0, 3.0, 0.5))
    page = render_claims(claims_report(processes={"no workers": times}), "")
    assert "| no workers | 4.0 (3.0 to 5.0) | 3.0 (2.0 to 4.0) | 0.5 (0.5 to 0.5) | 3 |" in page


def planted_measures(config: ClaimsConfig, image_dir: Path) -> dict[str, Measure]:
    def presets(report: ClaimsReport, limit: TimeLimit) -> ClaimsReport:
        return replace(report, tables={"training": (row("eager", 1, 1), row("bf16", 2, 2))})

    def interrupted(report: ClaimsReport, limit: TimeLimit) -> ClaimsReport:
        raise KeyboardInterrupt

    return {"training": presets, "memory": interrupted, "stalls": interrupted}


@pytest.mark.parametrize("is_written", [True, False])
@pytest.mark.parametrize("by_signal", [True, False])
def test_an_interrupted_run_reports_the_parts_that_were_measured(
    is_written: bool,
    by_signal: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def terminated(report: ClaimsReport, limit: TimeLimit) -> ClaimsReport:
        os.kill(os.getpid(), signal.SIGTERM)
        return report

    measures = planted_measures(ClaimsConfig(), Path()) | ({"memory": terminated} if by_signal else {})
    monkeypatch.setattr(measure, "_measures", lambda config, image_dir: measures)
    path = tmp_path / "claims.md"
    assert main(["claims", *(["--markdown", str(path)] if is_written else [])]) == 130
    page = path.read_text() if is_written else capsys.readouterr().out
    assert "| AMP trains 1.5x | 2.00x (2.00-2.00, n=20) | met |" in page
    assert "not finished; not measured yet: Memory; Waiting for the loader" in page
    assert "| the GPU is busy 90 % of an epoch | not reached | not measured |" in page


def test_a_part_that_fails_does_not_affect_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(report: ClaimsReport, limit: TimeLimit) -> ClaimsReport:
        raise PerfsuiteError("planted: no")

    measures = planted_measures(ClaimsConfig(), Path()) | {
        "stalls": failing,
        "memory": lambda report, limit: replace(report, memory={"eager": 1}),
    }
    monkeypatch.setattr(measure, "_measures", lambda config, image_dir: measures)
    report = measure_claims(ClaimsConfig(), Path(), lambda _: None, lambda _: None)
    assert report.rejected == {"Waiting for the loader": "planted: no"}
    assert report.memory == {"eager": 1}
    assert report.pending == ()
    assert EPOCH.judge(report).evidence == "planted: no"


def test_a_loader_of_the_users_own_has_claims_of_its_own() -> None:
    own = (row("training step", 1, 1), row("yours, 2 workers", 3.0, 3.2))
    page = render_claims(claims_report(tables={"bottleneck": own}), "")
    assert "your loader delivers 2.8x what training consumes | 3.10x (3.00-3.20, n=20) | met |" in page
    assert "your loader" not in render_claims(claims_report(), "")


def test_too_few_blocks_are_reported() -> None:
    assert "too few blocks" in render_claims(claims_report(row("compiled", -inf, inf)), "")


@pytest.mark.parametrize(
    ("intervals", "chosen"),
    [
        ({}, "eager"),
        ({"slow": (0.5, 0.9)}, "eager"),
        ({"unclear": (0.99, 3.0)}, "eager"),
        ({"sure": (1.1, 1.2), "unclear": (0.99, 3.0)}, "sure"),
        ({"surer": (1.3, 1.4), "wide": (1.1, 9.0)}, "surer"),
    ],
)
def test_eager_is_replaced_only_where_another_is_faster_for_certain(
    intervals: dict[str, tuple[float, float]], chosen: str
) -> None:
    assert pick_fastest({name: Interval(*ends, 0.99) for name, ends in intervals.items()}) == chosen


@pytest.mark.parametrize("before", [None, "elsewhere"])
def test_the_compile_cache_is_empty_in_the_block_and_restored_after(
    before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(CACHE_DIR_VARIABLE, raising=False)
    if before is not None:
        monkeypatch.setenv(CACHE_DIR_VARIABLE, before)
    with empty_compile_cache():
        folder = Path(os.environ[CACHE_DIR_VARIABLE])
        assert folder.is_dir()
        assert not list(folder.iterdir())
    assert not folder.exists()
    assert os.environ.get(CACHE_DIR_VARIABLE) == before
