"""The page of a profile of a transform pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from perfsuite.advise.profile.transforms import PipelineProfile, StepTimes
from perfsuite.judge.units import MetricKind
from perfsuite.measure.environment import detect_environment
from perfsuite.report.page.document import Document, ItemList, Section, Table
from perfsuite.report.page.plots import Bar, BarPlot, Distribution, SampleGroup, StackedBar, StackedBarPlot
from perfsuite.report.page.quantities import format_value

SECONDS = MetricKind.SECONDS


def transforms_document(name: str, profiles: Sequence[PipelineProfile], command: str = "") -> Document:
    """Make the page of a pipeline at one or several sizes."""
    return Document(
        stem="transforms",
        title=f"Pipeline {name}",
        summary=tuple(f"{_title(profile)}: {_result(profile)}" for profile in profiles),
        sections=(
            Section("Recommendations", (ItemList(_advice(profiles)),)),
            Section("All sizes", (_stacked(profiles),)),
            *(
                Section(_title(profile), (_bars(profile), _table(profile), _distribution(profile)))
                for profile in profiles
            ),
        ),
        environment=detect_environment(),
        command=command,
    )


def _title(profile: PipelineProfile) -> str:
    height, width = profile.shape[:2] if len(profile.shape) > 1 else (0, 0)
    return f"{width}x{height}" + (f", {profile.keypoints} keypoints" if profile.keypoints else "")


def _result(profile: PipelineProfile) -> str:
    gain = profile.max_speedup(profile.slowest)
    bound = f"without it at most {gain:.2f} times as fast" if isfinite(gain) else "nothing else takes time"
    whole = format_value(profile.whole.mean, SECONDS)
    share = f"{profile.share(profile.slowest):.0%}"
    return f"{whole} for an image; the slowest step is {profile.slowest.name} ({share}), {bound}"


def _advice(profiles: Sequence[PipelineProfile]) -> tuple[str, ...]:
    slowest = {profile.slowest.name: profile.slowest.advice for profile in profiles}
    return tuple(
        f"{name}: {advice or 'the slowest step; make it cheaper, or apply it less often'}"
        for name, advice in slowest.items()
    )


def _stacked(profiles: Sequence[PipelineProfile]) -> StackedBarPlot:
    return StackedBarPlot(
        title="Time of an image by step",
        value_label="time of an image",
        bars=tuple(
            StackedBar(_title(profile), {step.name: step.mean for step in profile.steps})
            for profile in profiles
        ),
        kind=SECONDS,
    )


def _bars(profile: PipelineProfile) -> BarPlot:
    return BarPlot(
        title=f"Steps at {_title(profile)}",
        value_label="time of an image",
        bars=tuple(
            Bar(step.name, step.mean, max(0.0, step.mean - step.std), step.mean + step.std)
            for step in (*profile.steps, profile.whole)
        ),
        kind=SECONDS,
        caption="Means; lines are one standard deviation to both sides.",
    )


def _table(profile: PipelineProfile) -> Table:
    return Table(
        columns=("step", "mean", "std", "min", "max", "share"),
        rows=(
            *(_row(step, f"{100 * profile.share(step):.1f} %") for step in profile.steps),
            _row(profile.whole, ""),
        ),
        caption=f"{len(profile.whole.seconds)} turns of each",
    )


def _row(step: StepTimes, share: str) -> tuple[str, ...]:
    times = (step.mean, step.std, step.minimum, step.maximum)
    return (step.name, *(format_value(each, SECONDS) for each in times), share)


def _distribution(profile: PipelineProfile) -> Distribution:
    return Distribution(
        title=f"Turns at {_title(profile)}",
        value_label="time of an image",
        groups=tuple(SampleGroup(step.name, step.seconds) for step in (*profile.steps, profile.whole)),
    )
