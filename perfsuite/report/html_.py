"""A gate as one HTML page that needs nothing else: no network, no script, light and dark."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from perfsuite.judge.reports import GateReport, WorkloadGateResult
from perfsuite.judge.units import MetricKind, format_quantity
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.report.dot_plot import render_dot_plot
from perfsuite.report.terminal.gate import closing_lines, note_lines
from perfsuite.report.text import escape_control_characters, format_change, format_interval

_STYLESHEET = """
:root{color-scheme:light dark;--ink:#1c2330;--soft:#5b6675;--paper:#fff;--card:#f6f7f9;--line:#d9dee5;
--red:#c0262d;--green:#18794e;--amber:#a15c00;--blue:#2563a8}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#9aa5b4;--paper:#14171c;--card:#1d2229;
--line:#333b46;--red:#ff7b7f;--green:#5fd39b;--amber:#f2b155;--blue:#7db7f5}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:62rem;padding:2rem 1.25rem;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;margin:0 0 .25rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
code,pre{font-family:ui-monospace,monospace;font-size:.92em;overflow-wrap:anywhere}
pre{background:var(--card);padding:.75rem;border-radius:.4rem;white-space:pre-wrap}
.soft{color:var(--soft)}p{margin:.25rem 0}
article{background:var(--card);border:1px solid var(--line);border-left:.35rem solid var(--line);
border-radius:.4rem;padding:.75rem 1rem;margin:.75rem 0}
article.regressed,article.broken,article.error,article.missing{border-left-color:var(--red)}
article.improved{border-left-color:var(--green)}article.unclear,article.quarantined{border-left-color:var(--amber)}
article.new{border-left-color:var(--blue)}
article h3{font-size:1rem;margin:0;overflow-wrap:anywhere}
.tag{font-size:.75rem;font-weight:600;text-transform:uppercase;letter-spacing:.04em}
.regressed>.tag,.broken>.tag,.error>.tag,.missing>.tag{color:var(--red)}.improved>.tag{color:var(--green)}
.unclear>.tag,.quarantined>.tag{color:var(--amber)}.new>.tag{color:var(--blue)}.kept>.tag{color:var(--soft)}
table{border-collapse:collapse;margin:.5rem 0;width:100%}
th,td{text-align:right;padding:.2rem .6rem;border-bottom:1px solid var(--line);
font-variant-numeric:tabular-nums}
th:first-child,td:first-child{text-align:left}th{color:var(--soft);font-weight:500;font-size:.85rem}
svg{display:block;width:100%;height:auto;margin:.4rem 0}svg text{fill:var(--soft);font-size:11px}
.axis{stroke:var(--line)}.zero{stroke:var(--soft)}.band{fill:var(--line);opacity:.55}
.dot{fill:var(--blue);opacity:.75}.range{stroke:var(--ink);stroke-width:2}.mid{fill:var(--ink)}
summary{cursor:pointer;margin:.5rem 0}
"""


def render(report: GateReport) -> str:
    """The page as text."""
    shown = [found for found in report.worst_first if found.outcome is not Outcome.KEPT]
    kept = [found for found in report.worst_first if found.outcome is Outcome.KEPT]
    body = [
        f"<h1>{_escape(report.headline)}</h1>",
        *(f'<p class="soft">{_escape(line)}</p>' for line in closing_lines(report)[1:3]),
        _sides(report),
        *(_card(found, report) for found in shown),
        f"<details><summary>{len(kept)} kept</summary>{''.join(_card(f, report) for f in kept)}</details>"
        if kept
        else "",
        _null_pairs(report),
        _list("Not judged", note_lines(report)),
        _facts("Environment", [*report.environment.hard.items(), *report.environment.soft.items()]),
        f"<h2>Again</h2><pre>{_escape(report.command)}</pre>",
        f'<p class="soft">{report.pairs} pairs of at most {report.max_pairs}, {report.seconds:.0f} s, '
        f"seed {report.seed}. A dot is one pair of fresh processes: head over base. The band is the "
        "tolerance, the bar the interval, the diamond the estimate.</p>",
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>perfsuite gate: {_escape(report.headline)}</title><style>{_STYLESHEET}</style></head>"
        f"<body>{''.join(body)}</body></html>\n"
    )


def _escape(text: object) -> str:
    return escape("\n".join(escape_control_characters(line) for line in str(text).splitlines()))


def _sides(report: GateReport) -> str:
    rows = []
    for name, side in (("base", report.base), ("head", report.head)):
        extra = f", {len(side.uncommitted)} uncommitted files" if side.uncommitted else ""
        rows.append(
            f"<p>{name} <code>{_escape(side.commit[:12])}</code> {_escape(side.label)}"
            f' <span class="soft">{_escape(side.subject)}{extra}</span></p>'
        )
    return "".join(rows)


def _card(found: WorkloadGateResult, report: GateReport) -> str:
    parts = [f'<span class="tag">{found.outcome}</span>', f"<h3><code>{_escape(found.name)}</code></h3>"]
    if found.file:
        parts.append(f'<p class="soft">{_escape(found.file)}:{found.line}</p>')
    parts += [_verdict(verdict, found) for verdict in found.verdicts]
    if found.log_ratios:
        time = next((verdict for verdict in found.verdicts if verdict.metric == "time"), None)
        tolerance = time.bound if time is not None and time.bound is not None else report.tolerance
        changes = [math.expm1(ratio) for ratio in found.log_ratios]
        interval, estimate = (time.interval, time.estimate) if time else (None, None)
        parts.append(render_dot_plot(changes, tolerance, interval, estimate))
    if found.stages:
        parts.append(_stages(found))
    if found.counters:
        parts.append(_counters(found))
    return f'<article class="{found.outcome}">{"".join(parts)}</article>'


def _verdict(verdict: Verdict, found: WorkloadGateResult) -> str:
    numbers = format_change(verdict.estimate)
    if verdict.interval is not None:
        numbers += f" ({format_interval(verdict)})"
    is_time = verdict.metric == "time" and found.attributed_stage
    stage = f"; stage <b>{_escape(found.attributed_stage)}</b>" if is_time else ""
    return f"<p>{_escape(verdict.metric)} <b>{_escape(numbers)}</b> {_escape(verdict.reason)}{stage}</p>"


def _stages(found: WorkloadGateResult) -> str:
    rows = [
        (
            stage.stage,
            format_quantity(stage.base_seconds, MetricKind.SECONDS),
            format_quantity(stage.head_seconds, MetricKind.SECONDS),
            _signed(stage.change_seconds),
        )
        for stage in found.stages
    ]
    return _table(("stage", "base", "head", "change"), rows)


def _signed(seconds: float) -> str:
    if not seconds:
        return "0"
    return f"{'+' if seconds > 0 else '-'}{format_quantity(abs(seconds), MetricKind.SECONDS)}"


def _counters(found: WorkloadGateResult) -> str:
    differing = {name: both for name, both in found.counters.items() if both[0] != both[1]}
    rows = [(name, f"{base:,}", f"{head:,}", f"{head - base:+,}") for name, (base, head) in differing.items()]
    same = len(found.counters) - len(differing)
    table = _table(("counter", "base", "head", "change"), rows) if rows else ""
    told = "1 counter is" if same == 1 else f"{same} counters are"
    return f'{table}<p class="soft">{told} the same on both sides</p>'


def _null_pairs(report: GateReport) -> str:
    if not report.null_log_ratios:
        return ""
    parts = ["<h2>Base against base</h2>"]
    for name, seen in report.null_log_ratios.items():
        word = "differs: the machine is unfit" if name in report.unfit else "agrees"
        parts.append(f"<p><code>{_escape(name)}</code> {word}</p>")
        parts.append(render_dot_plot([math.expm1(ratio) for ratio in seen], report.tolerance, None, None))
    return "".join(parts)


def _list(title: str, entries: Sequence[str]) -> str:
    inside = "".join(f"<li>{_escape(entry)}</li>" for entry in entries)
    return f"<h2>{title}</h2><ul>{inside}</ul>" if entries else ""


def _facts(title: str, facts: Iterable[tuple[str, str]]) -> str:
    return f"<h2>{title}</h2>{_table(('fact', ''), [(key, value) for key, value in facts])}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    heading = "".join(f"<th>{_escape(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{_escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{heading}</tr>{body}</table>"
