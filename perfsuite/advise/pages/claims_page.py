"""The page of the claims about training."""

from __future__ import annotations

from collections import Counter

from perfsuite.advise.claims.advice import advise_on_claims
from perfsuite.advise.claims.claims import ClaimOutcome, claims_about
from perfsuite.advise.claims.parts import PARTS
from perfsuite.advise.claims.results import ClaimsReport, SpeedupRow, format_interval
from perfsuite.advise.pages.processes_page import processes_document
from perfsuite.judge.units import MetricKind
from perfsuite.measure.environment import detect_environment
from perfsuite.report.page.document import Badge, Block, Document, ItemList, Section, Table, Tone
from perfsuite.report.page.plots import Bar, BarPlot
from perfsuite.report.page.quantities import PercentKind

CLAIM_TONES = {
    ClaimOutcome.MET: Tone.GOOD,
    ClaimOutcome.NOT_MET: Tone.BAD,
    ClaimOutcome.UNCLEAR: Tone.UNCLEAR,
    ClaimOutcome.NOT_MEASURED: Tone.PLAIN,
}


def claims_document(report: ClaimsReport, command: str = "") -> Document:
    """Make the page from a report, also from one that is not finished."""
    pending = (f"Not measured yet: {'; '.join(report.pending)}.",) if report.pending else ()
    settings = ", ".join(f"{name} {value}" for name, value in report.settings.items())
    claims, headline = _claims(report)
    processes = processes_document(report.processes).sections if report.processes else ()
    sections = (
        Section("Claims", (claims,)),
        Section("What to set", _advice(report)),
        *(Section(PARTS[name].title, _table(report, rows)) for name, rows in report.tables.items()),
        Section("Memory", _memory(report)),
        Section("Waiting for the loader", _stalls(report)),
        *(Section("Whole processes", section.blocks) for section in processes),
        Section("Not timed", _rejected(report)),
    )
    return Document(
        stem="claims",
        title="Claims about training, measured",
        summary=(headline, settings, *pending),
        sections=sections,
        environment=detect_environment(),
        command=command,
    )


def _claims(report: ClaimsReport) -> tuple[Table, str]:
    """The verdicts, and how many of each there are."""
    claims = claims_about(report)
    verdicts = [claim.judge(report) for claim in claims]
    rows = tuple(
        (Badge(verdict.outcome.value, CLAIM_TONES[verdict.outcome]), claim.statement, verdict.evidence)
        for claim, verdict in zip(claims, verdicts, strict=True)
    )
    counts = Counter(verdict.outcome for verdict in verdicts)
    counted = (f"{counts[outcome]} {outcome}" for outcome in ClaimOutcome if counts[outcome])
    return Table(columns=("verdict", "claim", "measured"), rows=rows), f"Claims: {', '.join(counted)}."


def _advice(report: ClaimsReport) -> tuple[Block, ...]:
    lines = tuple(
        f"{each.machine}: {each.text}{'' if each.is_measured else ' (a rule of thumb, not measured here)'}"
        for each in advise_on_claims(report)
    )
    return (ItemList(lines),) if lines else ()


def _table(report: ClaimsReport, rows: tuple[SpeedupRow, ...]) -> tuple[Block, ...]:
    plot = BarPlot(
        title="Speed-up",
        value_label=f"times as fast as {rows[0].name}",
        bars=tuple(Bar(row.name, row.estimate, row.speedup.low, row.speedup.high) for row in rows),
        kind=MetricKind.RATIO,
        reference=1.0,
        reference_label=rows[0].name,
        caption="Medians of paired ratios with 99 % intervals.",
    )
    lines = []
    for row in rows:
        calls = row.break_even_calls(rows[0], report.items_per_call)
        lines.append(
            (
                row.name,
                f"{row.items_per_second:,.0f}",
                f"{row.estimate:.2f} x",
                format_interval(row.speedup),
                str(row.blocks),
                "" if row.first_call_seconds is None else f"{row.first_call_seconds:.0f} s",
                "" if calls is None else f"{calls:,.0f}",
            )
        )
    columns = ("variant", "images/s", "factor", "99 %", "n", "first call", "paid back after batches")
    return (plot, Table(columns=columns, rows=tuple(lines)))


def _memory(report: ClaimsReport) -> tuple[Block, ...]:
    bars = tuple(Bar(name, size) for name, size in report.memory.items())
    if not bars:
        return ()
    return (BarPlot(title=report.memory_metric, value_label="memory", bars=bars, kind=MetricKind.BYTES),)


def _stalls(report: ClaimsReport) -> tuple[Block, ...]:
    bars = tuple(Bar(each.name, each.share, min(each.shares), max(each.shares)) for each in report.stalls)
    if not bars:
        return ()
    return (
        BarPlot(
            title="Share of an epoch in which the step waits",
            value_label="share of an epoch",
            bars=bars,
            kind=PercentKind.SHARE,
            caption="Medians of the epochs; lines reach from the minimum to the maximum.",
        ),
    )


def _rejected(report: ClaimsReport) -> tuple[Block, ...]:
    return (Table(columns=("what", "why"), rows=tuple(report.rejected.items())),) if report.rejected else ()
