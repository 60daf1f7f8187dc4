"""Targets that the chosen setting of a sweep should meet, judged by whole intervals."""

from __future__ import annotations

from dataclasses import replace

from perfsuite.advise.sweep.report import LEVEL, SettingResult, SweepReport
from perfsuite.judge.limits import Limit, LimitType, judge_limit
from perfsuite.judge.metrics import MetricEstimate
from perfsuite.judge.order_statistics import quantile, quantile_interval
from perfsuite.judge.verdict import Interval, Outcome, Verdict

TARGETS = (
    (LimitType.FLOOR, "images_per_second", 50),
    (LimitType.FLOOR, "batches_per_second", 10),
    (LimitType.CEILING, "p99", "100 ms"),  # 99 of 100 batches arrive at the rate of the target above
    (LimitType.CEILING, "overhead", 0.3),
    (LimitType.CEILING, "overhead", 0.2),
    (LimitType.FLOOR, "speedup", 1),
)


def check_targets(report: SweepReport, result: SettingResult) -> tuple[Verdict, ...]:
    """A verdict for each target that can be estimated, then those without noise."""
    estimates = _metric_estimates(report, result)
    name = f"{result.setting.num_workers} workers"
    limits = [Limit.parse(limit_type, metric, bound) for limit_type, metric, bound in TARGETS]
    verdicts = [
        judge_limit(limit, estimates[limit.metric], name) for limit in limits if limit.metric in estimates
    ]
    return (*map(_with_seconds_hint, verdicts), *_exact_checks(report, name))


def _with_seconds_hint(verdict: Verdict) -> Verdict:
    """Name the option that takes more samples in a sweep, instead of pytest's."""
    if verdict.outcome is not Outcome.UNCLEAR:
        return verdict
    return replace(verdict, reason=f"{verdict.reason.partition(';')[0]}; give more --seconds")


def _metric_estimates(report: SweepReport, result: SettingResult) -> dict[str, MetricEstimate]:
    rate = result.images_per_second
    batches = Interval(rate.interval.low / report.batch_size, rate.interval.high / report.batch_size, LEVEL)
    estimates = {
        "images_per_second": rate,
        "batches_per_second": MetricEstimate(rate.value / report.batch_size, batches),
    }
    if result.batch_seconds:
        waits = result.batch_seconds
        estimates["p99"] = MetricEstimate(quantile(waits, 0.99), quantile_interval(waits, 0.99, LEVEL))
    if result.overhead is not None:
        estimates["overhead"] = result.overhead
    if result is not report.reference:
        estimates["speedup"] = report.speedup(result)
    return estimates


def _exact_checks(report: SweepReport, name: str) -> list[Verdict]:
    verdicts = []
    if report.mean is not None and report.std is not None:
        reason = (
            f"normalized images have mean {report.mean:.2f} and standard deviation {report.std:.2f}, "
            "expected about 0 and 1"
        )
        outcome = _normalization_outcome(report.mean, report.std)
        verdicts.append(Verdict(name, "normalized", outcome, reason))
    if report.is_reproducible is not None:
        outcome = Outcome.KEPT if report.is_reproducible else Outcome.BROKEN
        batches = (
            "the same batches, bit for bit"
            if report.is_reproducible
            else "different batches, expected the same"
        )
        verdicts.append(Verdict(name, "repeats", outcome, f"the same seed gave every setting {batches}"))
    return verdicts


def _normalization_outcome(mean: float, std: float) -> Outcome:
    """Kept for photographs, unclear for what other images could give, broken for what no bytes can give.

    >>> [_normalization_outcome(*moments).value for moments in ((0.2, 0.9), (2.2, 0.3), (120.0, 60.0))]
    ['kept', 'unclear', 'broken']
    """
    if abs(mean) < 1 and 0.5 < std < 1.5:
        return Outcome.KEPT
    # The brightest byte is 2.6 standard deviations of ImageNet's images above their mean.
    return Outcome.UNCLEAR if abs(mean) < 3 and std < 3 else Outcome.BROKEN
