"""The files of a document, with and without matplotlib."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.errors import StoreError
from perfsuite.report.page import files, png
from perfsuite.report.page.document import Document, Section
from perfsuite.report.page.files import write_document
from perfsuite.report.page.plots import AnyPlot, Bar, BarPlot, LinePlot, LinePoint, LineSeries
from tests.report.page.sample_document import PLOTS, sample_document

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def test_without_matplotlib_there_are_a_page_and_markdown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "can_draw_png", lambda: False)
    assert [path.name for path in write_document(sample_document(), tmp_path)] == ["sample.html", "sample.md"]
    assert "![" not in (tmp_path / "sample.md").read_text()


def test_with_matplotlib_each_plot_has_an_image(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    empty = LinePlot(title="Empty", x_label="x", y_label="y", series=())
    plots: tuple[AnyPlot, ...] = (empty, PLOTS[0], PLOTS[2])
    paths = write_document(Document(stem="x", title="x", sections=(Section("s", plots),)), tmp_path)
    assert [path.name for path in paths] == ["x.html", "x.md", "x-2.png", "x-3.png"]
    assert (tmp_path / "x-2.png").read_bytes().startswith(PNG_SIGNATURE)
    assert "(x-3.png)" in (tmp_path / "x.md").read_text()


@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.title)
def test_every_kind_of_plot_can_be_a_png(plot: AnyPlot) -> None:
    pytest.importorskip("matplotlib")
    assert png.draw_png(plot).startswith(PNG_SIGNATURE)


def test_odd_values_and_names_can_be_a_png() -> None:
    pytest.importorskip("matplotlib")
    inf = float("inf")
    bars = BarPlot(title="$x", value_label="$\\frac", bars=(Bar("$a$ \x1b", 1.0, -inf, inf), Bar("b", inf)))
    line = LinePlot(
        title="t", x_label="x", y_label="y", series=(LineSeries("$", (LinePoint(0, 1.0, -inf, inf),)),)
    )
    assert png.draw_png(bars)
    assert png.draw_png(line)


def test_the_colors_of_images_are_those_of_the_page() -> None:
    css = (Path(files.__file__).parents[1] / "templates" / "page.css").read_text()
    assert all(f"--s{number}: {color}" in css for number, color in enumerate(png.COLORS, 1))


def test_a_folder_that_is_a_file_is_refused_in_clear_words(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(StoreError, match=r"--report .*out.* name a folder that can be written"):
        write_document(sample_document(), tmp_path / "out")
