"""The page of a run, from invented measurements."""

from __future__ import annotations

from dataclasses import replace

from perfsuite.judge.run_result import WorkloadRunResult
from perfsuite.judge.verdict import Interval, Outcome, Verdict
from perfsuite.measure.measurement import GpuReadings, Measurement, MemoryPeaks
from perfsuite.report.page.document import Badge, Table, Tone
from perfsuite.report.page.html import MAX_BYTES, render_html
from perfsuite.report.page.plots import BarPlot, Distribution, LinePlot, StackedBarPlot
from perfsuite.report.pages.run_page import recommendations, run_document
from perfsuite.report.pages.run_plots import compare_arms, gpu_table, plot_memory, plot_workers
from perfsuite.report.pages.stored_page import stored_document
from perfsuite.report.pages.verdicts import limit_table
from tests.store.sample_runs import HERE, a_run

SAMPLES = (0.99, 1.0, 1.01) * 5


def a_result(name: str, seconds: float = 0.01, **measured: object) -> WorkloadRunResult:
    took = Measurement(name, tuple(seconds * each for each in SAMPLES), items_per_call=10, unit="images")
    return WorkloadRunResult(replace(took, **measured))  # type: ignore[arg-type]


FILE = "benchmarks/test_loaders.py"
WORKERS = [a_result(f"{FILE}::test_load[{n} workers]", 0.01 / max(1, n)) for n in (0, 1, 2)]
BROKEN = Verdict(
    "test_slow", "p99", Outcome.BROKEN, "too slow", 0.2, interval=Interval(0.19, 0.22, 0.99), bound=0.05
)


def test_verdicts_come_first_and_broken_ones_before_kept_ones() -> None:
    kept = Verdict("test_a", "peak_memory", Outcome.KEPT, "fine", 2**20, bound=2**21)
    result = replace(a_result("test_slow"), limits=(kept, BROKEN))
    document = run_document([result], HERE)
    assert document.summary[0] == "1 workload: 1 broken, 1 kept"
    assert document.sections[0].title == "Verdicts"
    table = document.sections[0].blocks[0]
    assert isinstance(table, Table)
    assert table.rows == (
        (Badge("broken", Tone.BAD), "test_slow", "p99", "200 ms", "190 ms to 220 ms", "50.0 ms", ""),
        (Badge("kept", Tone.GOOD), "test_a", "peak_memory", "1.00 MiB", "", "2.00 MiB", ""),
    )


def test_every_outcome_has_a_tone() -> None:
    for outcome in Outcome:
        assert limit_table([Verdict("a", "time", outcome, "")]).rows


def test_arms_with_workers_become_a_curve() -> None:
    (plot,) = plot_workers(WORKERS)
    assert isinstance(plot, LinePlot)
    assert [(point.x, round(point.y)) for point in plot.series[0].points] == [(0, 1000), (1, 1000), (2, 2000)]
    assert all(
        point.low and point.high and point.low <= point.y <= point.high for point in plot.series[0].points
    )


def test_names_without_workers_have_no_curve() -> None:
    assert (
        plot_workers([a_result(f"{FILE}::test_a[{arm}]") for arm in ("x-2", "worker pool", "size=2")]) == ()
    )


def test_arms_of_one_test_are_compared_by_item() -> None:
    arms = [
        a_result(f"{FILE}::test_modes[{mode}]", seconds) for mode, seconds in (("none", 1.0), ("all", 2.0))
    ]
    (plot,) = compare_arms([*arms, a_result(f"{FILE}::test_alone")])
    assert [(bar.name, bar.value) for bar in plot.bars] == [("none", 0.1), ("all", 0.2)]


def test_stages_memory_and_samples_are_plots() -> None:
    result = a_result(
        "test_a",
        seconds_per_call_by_stage={"decode": 0.009, "augment": 0.001},
        memory=MemoryPeaks(peak_growth_bytes=2**20),
        counters={"decoded_images": 8},
    )
    document = run_document([result], HERE)
    kinds = {type(block) for block in document.blocks}
    assert {StackedBarPlot, BarPlot, Distribution, Table} <= kinds
    assert any("decode takes 90%" in line for line in recommendations([result]))
    assert ("a", "decoded_images", "8") in document.sections[-1].blocks[0].rows  # type: ignore[union-attr]


def test_what_was_not_measured_has_no_section() -> None:
    assert plot_memory([a_result("test_a")]) == ()
    assert [section.title for section in run_document([a_result("test_a")], HERE).sections] == [
        "Workloads",
        "Samples",
    ]


def test_a_run_of_two_hundred_benchmarks_fits_a_page() -> None:
    names = [f"benchmarks/test_{n % 20}.py::test_{n // 4}[{n % 4} workers]" for n in range(200)]
    stages = {"decode": 0.004, "augment": 0.002}
    results = [a_result(name, seconds_per_call_by_stage=stages) for name in names]
    page = render_html(run_document(results, HERE))
    assert len(page.encode()) < MAX_BYTES


def test_the_page_of_stored_runs_shows_the_last_one_and_the_times_of_all() -> None:
    old = a_run("old", "aaaaaaaa", seconds={"test_a": 0.01, "test_gone": 0.02})
    new = a_run("new", "bbbbbbbb", dirty=True, seconds={"test_a": 0.03})
    missing = Verdict("test_gone", "time", Outcome.MISSING, "not measured in B")
    slower = Verdict("test_a", "time", Outcome.REGRESSED, "slower", 2.0)
    document = stored_document([old, new], changes=[missing, slower])
    assert document.title == "Run new"
    assert "with uncommitted changes" in document.summary[1]
    tables = {section.title: section.blocks[0] for section in document.sections}
    runs, verdicts, gone = tables["Runs"], tables["Verdicts"], tables["Missing"]
    assert isinstance(runs, Table)
    assert runs.columns == ("workload", "old aaaaaaa", "new bbbbbbb")
    assert ("a", "10.0 ms", "30.0 ms") in runs.rows
    assert "test_gone" in str(gone)
    assert "3.0 x" in str(verdicts)


def test_readings_of_a_gpu_are_a_table() -> None:
    medians = {"utilization_percent": 97.0, "sm_clock_mhz": 1980.0, "power_watts": 650.0}
    whole = GpuReadings(medians, energy_joules=500.0, throttled=("power cap",), seconds=10.0, calls=100)
    instance = GpuReadings({"sm_clock_mhz": 1980.0}, energy_joules=None)
    results = [a_result("test_a", gpu=whole), a_result("test_mig", gpu=instance), a_result("test_cpu")]
    [table] = gpu_table(results)
    assert table.rows == (
        ("a", "97.0", "1,980", "650", "0.5", "power cap"),
        ("mig", "", "1,980", "", "", "no"),
    )
    sections = {section.title: section for section in run_document(results, HERE).sections}
    assert sections["GPU"].blocks == (table,)
    without = run_document([a_result("test_cpu")], HERE)
    assert not any(section.blocks for section in without.sections if section.title == "GPU")
