"""A document with every kind of block, from invented figures."""

from __future__ import annotations

from random import Random

from perfsuite.judge.units import MetricKind
from perfsuite.measure.measurement import Environment
from perfsuite.report.page.document import (
    Badge,
    Document,
    ItemList,
    Link,
    Listing,
    Section,
    Table,
    Tone,
)
from perfsuite.report.page.plots import (
    Bar,
    BarPlot,
    Distribution,
    LinePlot,
    LinePoint,
    LineSeries,
    PlotMark,
    SampleGroup,
    StackedBar,
    StackedBarPlot,
    Timeline,
    TimelineLane,
    TimelineSpan,
)
from perfsuite.report.page.quantities import PercentKind

WORKER_CURVE = LinePlot(
    title="Worker curve",
    x_label="workers",
    y_label="images per second",
    kind=MetricKind.RATE,
    series=tuple(
        LineSeries(
            engine,
            tuple(
                LinePoint(workers, factor * rate, factor * rate * 0.95, factor * rate * 1.06)
                for workers, rate in ((0, 120), (1, 118), (2, 231), (4, 240), (8, 236))
            ),
        )
        for engine, factor in (("threads", 1.0), ("processes", 0.8))
    ),
    marks=(PlotMark(2, "chosen: 2 threads"),),
    caption="Points are medians, bars their 99 % intervals.",
)
HISTORY = LinePlot(
    title="test_decode over 60 runs",
    x_label="run",
    y_label="time of a call",
    kind=MetricKind.SECONDS,
    from_zero=False,
    has_bands=True,
    series=(
        LineSeries(
            "test_decode",
            tuple(
                LinePoint(
                    run,
                    0.010 + 0.0012 * (run > 40) + 0.0001 * (run % 3),
                    0.0098 + 0.0012 * (run > 40),
                    0.0104 + 0.0012 * (run > 40),
                    f"c0ffee{run:02d}",
                )
                for run in range(60)
            ),
        ),
    ),
    marks=(PlotMark(40.5, "+12 % between c0ffee40 and c0ffee41"),),
)
MODES = BarPlot(
    title="Overhead of augmentation",
    value_label="time over that without",
    kind=PercentKind.CHANGE,
    bars=(
        Bar("conservative", 0.031, 0.022, 0.041),
        Bar("moderate", 0.082, 0.07, 0.1),
        Bar("aggressive, with a name that is too long for a screen of 400 pixels", 0.21, 0.18, 0.26),
    ),
    reference=0.15,
    reference_label="limit",
)
STAGES = StackedBarPlot(
    title="Stages of a batch",
    value_label="time of a batch",
    kind=MetricKind.SECONDS,
    bars=(
        StackedBar("0 workers", {"read": 0.002, "decode": 0.021, "resize": 0.004, "augment": 0.006}),
        StackedBar("2 workers", {"decode": 0.011, "collate": 0.001, "forward": 0.012, "backward": 0.02}),
    ),
)
BATCH_TIMES = Distribution(
    title="Batch times",
    value_label="time that the caller waits for a batch",
    groups=(
        SampleGroup("0 workers", tuple(0.02 + 0.004 * Random(1).random() + n % 7 * 1e-3 for n in range(300))),
        SampleGroup("2 threads", (*(0.001 + n % 11 * 3e-4 for n in range(30)), 0.2)),
    ),
)
TIMELINE = Timeline(
    title="Loader and device",
    lanes=(
        TimelineLane("loader", tuple(TimelineSpan("load", n * 0.03, n * 0.03 + 0.02) for n in range(12))),
        TimelineLane(
            "device",
            tuple(
                TimelineSpan(name, n * 0.03 + begin, n * 0.03 + end)
                for n in range(12)
                for name, begin, end in (("forward", 0.02, 0.024), ("backward", 0.024, 0.03))
            ),
        ),
    ),
)
PLOTS = (WORKER_CURVE, HISTORY, MODES, STAGES, BATCH_TIMES, TIMELINE)

SETTINGS = Table(
    columns=("setting", "images/s", "interval", "outcome", "commit"),
    rows=(
        (
            "num_workers=0",
            "120/s",
            "114/s to 126/s",
            Badge("slower", Tone.BAD),
            Link("c0ffee1", "runs/1.html"),
        ),
        ("num_workers=2", "231/s", "220/s to 244/s", Badge("kept", Tone.GOOD), Link("x", "javascript:x")),
    ),
    caption="Every setting, measured in turns",
)


def sample_document() -> Document:
    return Document(
        stem="sample",
        title="Worker sweep of images/",
        summary=("num_workers=2 loads 231 images/s, 1.93 times as fast as 0 workers.", "8 blocks in 60 s."),
        sections=(
            Section("Settings", (SETTINGS, WORKER_CURVE, "A paragraph.")),
            Section("Comparison", (MODES, STAGES)),
            Section("Samples", (BATCH_TIMES, TIMELINE, HISTORY), is_folded=True),
            Section(
                "Recommendations", (ItemList(("Use 2 workers.",)), Listing("make_loaders(num_workers=2)"))
            ),
        ),
        environment=Environment({"cpu": "An example CPU", "cores": "2"}, {"kernel": "6.1"}),
        command="perfsuite sweep --data-dir images/",
    )
