"""The zoom of history's plots, driven in a browser: keys, wheel, drag and reset."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest

from perfsuite.report.history.page import overview_document
from perfsuite.report.history.site import render_page
from tests.report.history.sample_history import SLOWER, a_report, sample_columns

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# Steps that a reader takes, and what the plot shows after each.
DRIVER = """
const plot = document.querySelector("figure .for-wide svg"), seen = {};
const label = plot.querySelector(".tick-y");
const look = name => {
  const box = label.getBoundingClientRect(), left = box.left - plot.getBoundingClientRect().left;
  seen[name] = {box: plot.getAttribute("viewBox").split(" ").map(Number), height: box.height, left};
};
const common = {bubbles: true, cancelable: true};
const send = (Event, type, facts) => plot.dispatchEvent(new Event(type, {...common, ...facts}));
const key = (key, times = 1) => { for (let n = 0; n < times; n++) send(KeyboardEvent, "keydown", {key}); };
const wheel = (deltaY, ctrlKey) => !send(WheelEvent, "wheel", {deltaY, ctrlKey});
const pointer = (type, clientX) => send(PointerEvent, type, {clientX, clientY: 100, pointerId: 1});
plot.setPointerCapture = () => {};  // it refuses a pointer that no device has
look("whole");
seen.scrolls_past = !wheel(-100, false);
look("after_scrolling");
key("+", 2); look("keys");
key("ArrowRight"); look("arrow");
key("ArrowLeft", 9);
look("left_end");
pointer("pointerdown", 300); pointer("pointermove", 200); pointer("pointerup", 200); look("drag");
pointer("pointermove", 100); look("after_drag");
key("0"); look("reset");
wheel(-100, true); look("wheel");
send(MouseEvent, "dblclick"); look("double_click");
key("+", 60); look("deepest");
document.body.dataset.seen = JSON.stringify(seen);
"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Open a page with one plot in a browser, drive it, and read what it showed."""
    folder = tmp_path_factory.mktemp("zoom")
    page = render_page(overview_document(a_report({SLOWER: sample_columns()[SLOWER]}), "history")).decode()
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)  # it refuses the driver
    (folder / "page.html").write_text(page.replace("</body>", f"<script>{DRIVER}</script></body>"))
    options = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--dump-dom"),
        *("--window-size=1000,900", f"--user-data-dir={folder / 'profile'}"),
    ]
    command = [str(CHROMIUM), *options, (folder / "page.html").as_uri()]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=900)
    match = re.search(r'data-seen="([^"]*)"', done.stdout)
    assert match is not None, "the driver did not reach its end"
    found: dict[str, Any] = json.loads(match[1].replace("&quot;", '"'))
    return found


def box(seen: dict[str, Any], step: str) -> list[float]:
    found: list[float] = seen[step]["box"]
    return found


def test_keys_zoom_and_move_within_the_plot(seen: dict[str, Any]) -> None:
    whole = box(seen, "whole")
    assert box(seen, "keys")[2] == pytest.approx(0.64 * whole[2])
    assert box(seen, "arrow")[0] > box(seen, "keys")[0]
    assert box(seen, "left_end")[0] == whole[0]


def test_a_drag_moves_until_the_button_is_released(seen: dict[str, Any]) -> None:
    assert box(seen, "drag")[0] > box(seen, "left_end")[0]
    assert box(seen, "after_drag") == box(seen, "drag")


def test_zero_and_a_double_click_show_the_whole_plot(seen: dict[str, Any]) -> None:
    assert box(seen, "wheel")[2] < box(seen, "whole")[2]
    assert box(seen, "reset") == box(seen, "double_click") == box(seen, "whole")


def test_the_page_scrolls_past_a_plot_that_nobody_clicked(seen: dict[str, Any]) -> None:
    assert seen["scrolls_past"]
    assert box(seen, "after_scrolling") == box(seen, "whole")


@pytest.mark.parametrize("step", ["keys", "arrow", "deepest"])
def test_labels_of_the_axis_keep_their_size_and_stay_at_the_edge(seen: dict[str, Any], step: str) -> None:
    assert seen[step]["height"] == pytest.approx(seen["whole"]["height"], rel=0.15)
    assert seen[step]["left"] == pytest.approx(seen["whole"]["left"], abs=2)


def test_zoom_ends_before_nothing_is_left(seen: dict[str, Any]) -> None:
    assert box(seen, "deepest")[2] == pytest.approx(box(seen, "whole")[2] / 16)
