"""Page and site: complete without a script, every benchmark on one page, every link leads to a file."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from perfsuite.report.history.page import MAX_POINTS, overview_document, workload_section
from perfsuite.report.history.site import group_pages, render_page, write_site
from perfsuite.report.history.zoom import add_zoom
from perfsuite.report.page.plots import LinePlot
from tests.report.history.sample_history import SLOWER, STEP, a_report, commit_hash

NASTY = "tests/test_x.py::test_<script>alert(1)</script>"


def test_the_page_has_figures_and_links_without_its_script() -> None:
    page = render_page(overview_document(a_report(), "history")).decode()
    without = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert "fast folder[threads]" in without
    assert f"https://github.com/acme/vision/commit/{commit_hash(STEP)}" in without
    assert "drift" in without
    assert without.count("<svg") > 4
    assert "<table" in without


def test_only_the_zoom_script_may_run() -> None:
    columns = {NASTY: np.full(30, 0.1)}
    page = render_page(overview_document(a_report(columns), "history")).decode()
    assert page.count("<script>") == 1
    assert "script-src 'sha256-" in page
    assert "unsafe-inline' 'unsafe" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_page_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="no content policy"):
        add_zoom("<html><body></body></html>")


def test_the_newest_commits_have_a_plot_of_their_own() -> None:
    report = a_report()
    plots = [
        block for block in workload_section(report, report.trends[0]).blocks if isinstance(block, LinePlot)
    ]
    assert [plot.title for plot in plots] == ["All commits", "The newest 60 commits"]
    assert plots[0].marks[0].x == STEP
    assert plots[0].series[0].points[STEP].name == commit_hash(STEP)[:7]


def test_both_plots_of_a_benchmark_have_one_scale_that_does_not_magnify_noise() -> None:
    report = a_report()
    for trend in report.trends:
        plots = [block for block in workload_section(report, trend).blocks if isinstance(block, LinePlot)]
        (scale,) = {plot.y_range for plot in plots}
        assert scale is not None
        assert scale[0] <= trend.seconds.min() <= trend.seconds.max() <= scale[1]
        assert scale[1] - scale[0] >= 0.0499 * np.median(trend.seconds)


def test_a_long_history_is_drawn_as_medians_with_their_range() -> None:
    report = a_report({"test_a.py::test": np.exp(np.random.default_rng(0).normal(0, 0.01, 2000))})
    (plot, *_) = [
        block for block in workload_section(report, report.trends[0]).blocks if isinstance(block, LinePlot)
    ]
    points = plot.series[0].points
    assert len(points) == MAX_POINTS
    assert all(point.low is not None and point.low <= point.y for point in points)


def test_every_link_of_the_site_leads_to_a_file(tmp_path: Path) -> None:
    columns = {
        f"benchmarks/{'a/' * (number % 2)}test_big.py::test_{number}": np.full(5, 0.1) for number in range(45)
    }
    reports = [a_report(columns, fingerprint="0ld0ld0ld0ld"), a_report()]
    seen: list[tuple[int, int]] = []
    index = write_site(reports, tmp_path, lambda *count: seen.append(count))
    assert index == tmp_path / "index.html"
    pages = list(tmp_path.rglob("*.html"))
    links = [
        (page.parent / address)
        for page in pages
        for address in re.findall(r'href="([^"#:]+)"', page.read_text())
    ]
    assert len(links) > 45
    assert [link for link in links if not link.is_file()] == []
    assert (tmp_path / ".nojekyll").exists()
    assert len(seen) == len(pages) - 3, "all but three index pages"


def test_pages_have_names_of_their_own_and_nothing_is_left_out() -> None:
    columns = {
        f"{file}::test": np.full(5, 0.1)
        for file in ("a/test_x.py", "b/test_x.py", "c/test_X.py", "../../etc", "index")
    }
    pages = group_pages(a_report(columns).trends)
    stems = [page.stem.lower() for page in pages]
    assert len(set(stems)) == len(stems) == 5
    assert "index" not in stems
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", stem) for stem in stems)


def test_the_index_says_what_is_slower(tmp_path: Path) -> None:
    write_site([a_report()], tmp_path)
    assert "2 slower lately" in (tmp_path / "index.html").read_text()
    assert SLOWER.split("::")[0] in (tmp_path / a_report().history.fingerprint / "loaders.html").read_text()
