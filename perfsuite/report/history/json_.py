"""The history as JSON values: every level, change, drift and creep."""

from __future__ import annotations

from typing import Any

from perfsuite.judge.history.drift import Drift
from perfsuite.judge.history.trend import Trend
from perfsuite.report.history.words import HistoryReport

SCHEMA_VERSION = 1


def history_data(report: HistoryReport) -> dict[str, Any]:
    """One environment; times are seconds per item, changes are ratios minus one."""
    history = report.history
    return {
        "schema": SCHEMA_VERSION,
        "environment": history.fingerprint,
        "facts": dict(report.environment.hard) if report.environment else {},
        "runs": history.runs,
        "dirty_runs_left_out": history.dirty_runs,
        "commits": [
            {"commit": each.commit, "created_at": each.created_at, "runs": list(each.references)}
            for each in history.commits
        ],
        "benchmarks": [_trend_data(report, trend) for trend in report.trends],
    }


def _trend_data(report: HistoryReport, trend: Trend) -> dict[str, Any]:
    creep = trend.creep
    return {
        "benchmark": trend.workload,
        "commits": list(trend.commits),
        "seconds_per_item": trend.seconds.tolist(),
        "levels_seconds_per_item": list(trend.levels),
        "slower_recently": trend.slower_recently,
        "changes": [
            {
                "change": change.change,
                "most_likely": cause.likely.commit,
                "last_good": cause.good.commit,
                "first_bad": cause.bad.commit,
                "measured_commits": cause.measured,
                "link": report.links.range(cause.good.commit, cause.bad.commit) or None,
            }
            for change in trend.changes
            for cause in [report.cause(trend, change)]
        ],
        "drifts": [_drift_data(report, trend, drift) for drift in trend.drifts],
        "creep": None
        if creep is None
        else {
            "anchor": report.commit(trend, creep.anchor).commit,
            "change": creep.change,
            "total_change": creep.total_change,
        },
    }


def _drift_data(report: HistoryReport, trend: Trend, drift: Drift) -> dict[str, Any]:
    return {
        "change": drift.change,
        "first": report.commit(trend, drift.first).commit,
        "last": report.commit(trend, drift.last).commit,
    }
