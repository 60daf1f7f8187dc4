"""The pages of measuring commands, from invented results: what a reader must find, and all plots drawn."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from perfsuite.advise.claims.process_times import ProcessTimes
from perfsuite.advise.claims.results import ClaimsReport, LoaderStall, speedup_row
from perfsuite.advise.pages.claims_page import claims_document
from perfsuite.advise.pages.loading_page import loading_document
from perfsuite.advise.pages.processes_page import processes_document
from perfsuite.advise.pages.scaling_page import scaling_document
from perfsuite.advise.pages.step_page import step_document
from perfsuite.advise.pages.sweep_page import sweep_document
from perfsuite.advise.pages.transforms_page import transforms_document
from perfsuite.advise.profile.cold_files import ColdFileTimes, NoColdFiles
from perfsuite.advise.profile.loading import LoadingProfile, StageRate
from perfsuite.advise.profile.step import StepProfile
from perfsuite.advise.profile.transforms import PipelineProfile, StepTimes
from perfsuite.advise.scaling import ScalingResult
from perfsuite.advise.sweep.loader_setting import LoaderSetting
from perfsuite.advise.sweep.report import SweepReport
from perfsuite.advise.sweep.setting_result import CoreUse, HostMemory, SettingResult
from perfsuite.advise.sweep.terminal import print_sweep
from perfsuite.judge.verdict import Interval
from perfsuite.measure.stage_clock import StageSpan
from perfsuite.report.page.document import Document, Table
from perfsuite.report.page.drawing.draw import NARROW, draw
from perfsuite.report.page.files import plots_of
from perfsuite.report.page.html import render_html
from perfsuite.report.page.markdown import render_markdown
from perfsuite.report.page.plots import BarPlot, LinePlot

NOISE = (0.99, 1.0, 1.01, 1.0, 0.995, 1.005, 1.0, 1.02, 1.0)


def around(value: float) -> tuple[float, ...]:
    return tuple(value * factor for factor in NOISE)


def a_setting(workers: int, seconds: float, engine: str = "threads") -> SettingResult:
    return SettingResult(
        LoaderSetting(workers, 2, engine if workers else "auto"),
        around(seconds),
        {"none": around(seconds * 0.8), "aggressive": around(seconds * 1.3)},
        batch_seconds=around(seconds * 32) * 20,
        first_batch_seconds=(0.2,),
        core_use=CoreUse(0.2, float(workers)),
        memory=HostMemory(
            batch_bytes=2**20,
            prefetch_bytes=workers * 2**21,
            peak_growth_bytes=(1 + workers) * 40 * 2**20,
            worker_bytes=workers * 45 * 2**20 if engine == "processes" else None,
        ),
    )


SWEEP = SweepReport(
    32,
    (
        a_setting(0, 0.004),
        a_setting(2, 0.0021),
        a_setting(4, 0.00209),
        a_setting(2, 0.0026, "processes"),
        a_setting(4, 0.0025, "processes"),
    ),
    augmentation_mode="moderate",
    images_per_epoch=2000,
    step_seconds_per_image=around(0.003),
    device_peak_bytes=3 * 2**30,
    failures={"8 processes +2": "workers died: out of memory"},
)
SPANS = tuple(
    StageSpan(stage, batch + begin, batch + end)
    for batch in range(12)
    for stage, begin, end in (
        *(("load", 0.0, 0.5), ("decode", 0.1, 0.4), ("transfer", 0.5, 0.52)),
        *(("forward", 0.52, 0.7), ("backward", 0.7, 0.95), ("optimize", 0.95, 1.0)),
    )
)
LOADING = LoadingProfile(
    640,
    (
        StageRate("decode", 400.0, 0.75, "more workers", around(1 / 400)),
        StageRate("augment", 1200.0, 0.25, "", around(1 / 1200)),
    ),
    spans=SPANS,
)
STEP = StepProfile(
    batches=9,
    images_per_batch=32,
    stage_seconds={"decode": around(0.03), "forward": around(0.05), "other": around(0.02)},
    loading_seconds_with_workers=0.02,
    num_workers=2,
    spans=SPANS,
)
PIPELINE = PipelineProfile(
    (StepTimes("resize", around(0.003), "INTER_LINEAR"), StepTimes("pad", around(0.001))),
    whole=StepTimes("whole", around(0.0042)),
    shape=(720, 1280, 3),
    keypoints=17,
)
PROCESSES = {"plain": [ProcessTimes(2.0, 1.8, 0.2), ProcessTimes(2.1, 1.9, 0.2)], "cached": []}
SCALING = ScalingResult(2, 180.0, 100.0, Interval(0.85, 0.95, 0.99), 9, 3, 4096)
CLAIMS = ClaimsReport(
    settings={"device": "cpu", "model": "small"},
    items_per_call=32,
    tables={
        "training": (
            speedup_row("eager", (1.0,) * 9, 100.0),
            speedup_row("compiled", around(1.6), 160.0, first_call_seconds=20.0),
            speedup_row("bf16", (0.7, 0.8), 75.0),
        )
    },
    memory={"eager": 2**28, "checkpointing": 2**27},
    memory_metric="peak of the process",
    stalls=(LoaderStall("plain", around(0.5)),),
    processes={"plain": (ProcessTimes(2.0, 1.8, 0.2),)},
    rejected={"fp16": "no GPU here"},
    pending=("Inference",),
)
DOCUMENTS = {
    "sweep": sweep_document(SWEEP),
    "loading": loading_document(LOADING, ColdFileTimes(64, around(0.01), around(0.001))),
    "step": step_document(STEP),
    "transforms": transforms_document("moderate", [PIPELINE, replace(PIPELINE, shape=(224, 224, 3))]),
    "processes": processes_document(PROCESSES),
    "scaling": scaling_document(SCALING),
    "claims": claims_document(CLAIMS),
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_every_plot_of_a_page_is_drawn(document: Document) -> None:
    assert plots_of(document)
    assert not [plot.title for plot in plots_of(document) if not draw(plot, NARROW)]
    assert document.environment is not None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sweep", ["the knee: 2 threads +2", "2 processes +2", "481/s", "workers died: out of memory"]),
        ("sweep", ["Cost of augmentation", "+25.0 %", "Loader against training step", "120 MiB"]),
        ("sweep", ["worker processes", "90.0 MiB", "3.00 GiB"]),
        (
            "loading",
            ["decode (75%): more workers", "at most 4.00 times as fast", "Reading a file", "Timeline"],
        ),
        ("step", ["forward takes 50% of a batch", "with 2 workers", "training step"]),
        ("transforms", ["1280x720, 17 keypoints", "resize: INTER_LINEAR", "224x224", "75.0 %"]),
        ("processes", ["plain has the shortest median: 2.05 s.", "cached has not run yet."]),
        ("scaling", ["85.0 % to 95.0 %", "90.0 %", "3 all-reduces, 4,096 bytes"]),
        (
            "claims",
            [
                "Claims: 1 met, 1 unclear, 10 not measured.",
                "1.60 x",
                "Not measured yet: Inference.",
                "no GPU here",
                "too few blocks",
                "256 MiB",
            ],
        ),
    ],
)
def test_a_page_says_what_was_measured(name: str, words: list[str]) -> None:
    page = render_html(DOCUMENTS[name]) + render_markdown(DOCUMENTS[name])
    assert not [word for word in words if word not in page]


def test_every_line_of_the_worker_curve_begins_with_no_workers() -> None:
    curve = plots_of(DOCUMENTS["sweep"])[0]
    threads = next(series for series in curve.series if series.name == "threads +2")  # type: ignore[union-attr]
    assert [point.x for point in threads.points] == [0, 2, 4]
    assert threads.points[1].y == pytest.approx(1 / 0.0021, rel=0.01)


def with_batch_size(result: SettingResult, batch_size: int) -> SettingResult:
    return replace(result, setting=replace(result.setting, batch_size=batch_size))


SEVERAL_BATCH_SIZES = replace(
    SWEEP,
    results=(
        with_batch_size(a_setting(0, 0.004), 32),
        with_batch_size(a_setting(2, 0.0021), 32),
        with_batch_size(a_setting(0, 0.0039), 64),
        with_batch_size(a_setting(2, 0.002), 64),
    ),
)


def test_the_page_and_the_terminal_agree_on_batches_per_second_of_every_batch_size() -> None:
    out = StringIO()
    print_sweep(SEVERAL_BATCH_SIZES, Console(file=out, width=80, highlight=False))
    table = next(
        block
        for block in sweep_document(SEVERAL_BATCH_SIZES).blocks
        if isinstance(block, Table) and "batches" in block.columns
    )
    column = table.columns.index("batches")
    for row in table.rows:
        label = str(row[0])
        # Rates are the first table that is printed: images per second, their interval, batches per second.
        line = next(line for line in out.getvalue().splitlines() if line.lstrip().startswith(f"{label} "))
        assert str(row[column]).removesuffix("/s") == line.lstrip().removeprefix(label).split()[2]
    assert [row[column] for row in table.rows] == ["7.81/s", "14.9/s", "4.01/s", "7.81/s"]


def test_lines_of_the_curve_begin_with_no_workers_of_the_same_batch_size() -> None:
    (curve,) = (plot for plot in plots_of(sweep_document(SEVERAL_BATCH_SIZES)) if isinstance(plot, LinePlot))
    starts = {series.name: round(series.points[0].y) for series in curve.series}
    assert starts == {"threads +2 b32": 250, "threads +2 b64": 256}
    assert {len(series.points) for series in curve.series} == {2}


def test_loading_and_the_step_are_compared_by_image_where_batch_sizes_differ() -> None:
    (plot,) = (
        plot
        for plot in plots_of(sweep_document(SEVERAL_BATCH_SIZES))
        if isinstance(plot, BarPlot) and plot.title == "Loader against training step"
    )
    seconds = {bar.name: bar.value for bar in plot.bars}
    assert seconds["loading: 2 threads +2 b64"] == pytest.approx(0.002)
    assert seconds["training step"] == pytest.approx(0.003) == plot.reference


def test_an_interrupted_measurement_says_so() -> None:
    for document in (
        sweep_document(replace(SWEEP, is_complete=False)),
        loading_document(replace(LOADING, is_complete=False), NoColdFiles("a reason")),
        step_document(replace(STEP, is_complete=False)),
    ):
        assert any(line.startswith("Interrupted") for line in document.summary)


def test_a_sweep_of_one_block_has_a_page() -> None:
    short = SweepReport(32, (SettingResult(LoaderSetting(0), (0.004,)),))
    assert "250/s" in render_html(sweep_document(short))


def test_processes_that_never_ran_have_a_page() -> None:
    assert processes_document({"a": []}).summary[0] == "Nothing has run."
