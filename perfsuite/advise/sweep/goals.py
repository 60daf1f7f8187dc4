"""Goals that the chosen setting of a sweep should meet, judged by whole intervals."""

from __future__ import annotations

from dataclasses import replace

from perfsuite.advise.confidence import LEVEL
from perfsuite.advise.machine import SAFE_MEMORY_FRACTION
from perfsuite.advise.sweep.report import SweepReport
from perfsuite.advise.sweep.setting_result import SettingResult
from perfsuite.judge.limits import Limit, LimitType, judge_limit
from perfsuite.judge.metrics import MetricEstimate
from perfsuite.judge.order_statistics import quantile, quantile_interval
from perfsuite.judge.units import MetricKind, format_quantity
from perfsuite.judge.verdict import Interval, Outcome, Verdict

GOALS = (
    (LimitType.FLOOR, "images_per_second", 50),
    (LimitType.FLOOR, "batches_per_second", 10),
    (LimitType.CEILING, "p99", "100 ms"),  # 99 of 100 batches arrive at the rate of the goal above
    (LimitType.CEILING, "overhead_share", 0.3),  # of the time of a batch, as reports state it
    (LimitType.CEILING, "overhead_share", 0.2),
)
NO_BOTTLENECK = Limit.parse(LimitType.FLOOR, "speedup", 1)  # loading at least as fast as training
WORKERS_PAY_OFF = Limit.parse(LimitType.FLOOR, "speedup", 1)


def check_goals(report: SweepReport, result: SettingResult) -> tuple[Verdict, ...]:
    """A verdict for each goal that can be estimated, then those without noise."""
    estimates = _metric_estimates(report, result)
    name = f"{result.setting.num_workers} workers"
    limits = [Limit.parse(limit_type, metric, bound) for limit_type, metric, bound in GOALS]
    verdicts = [
        judge_limit(limit, estimates[limit.metric], name) for limit in limits if limit.metric in estimates
    ]
    verdicts += _ratio_checks(report, result, name)
    return (*map(_with_seconds_hint, verdicts), *_exact_checks(report, result, name))


def _ratio_checks(report: SweepReport, result: SettingResult, name: str) -> list[Verdict]:
    """Scaling with workers, also where none are chosen; and loading against the training step."""
    verdicts = []
    scaled = _best_with_workers(report, result)
    if scaled is not None:
        verdict = judge_limit(
            WORKERS_PAY_OFF, report.speedup(scaled), f"{scaled.setting.num_workers} workers"
        )
        verdicts.append(_renamed(verdict, "scaling", f"the speedup with {scaled.setting.label}"))
    over_step = report.loading_over_step(result)
    if over_step is not None:
        verdict = judge_limit(NO_BOTTLENECK, over_step, name)
        verdicts.append(_renamed(verdict, "bottleneck", "the loading rate over the training rate"))
    return verdicts


def _best_with_workers(report: SweepReport, chosen: SettingResult) -> SettingResult | None:
    """The chosen setting, or the fastest with more workers than the reference; None without one."""
    if chosen is not report.reference:
        return chosen
    others = [result for result in report.results if result is not report.reference]
    return max(others, key=lambda result: report.speedup(result).value, default=None)


def _renamed(verdict: Verdict, metric: str, subject: str) -> Verdict:
    reason = verdict.reason.replace("speedup of", f"{subject} of", 1)
    return replace(verdict, metric=metric, reason=reason)


def _with_seconds_hint(verdict: Verdict) -> Verdict:
    """Name the option that takes more samples in a sweep, instead of pytest's."""
    if verdict.outcome is not Outcome.UNCLEAR:
        return verdict
    return replace(verdict, reason=f"{verdict.reason.partition(';')[0]}; give more --seconds")


def _metric_estimates(report: SweepReport, result: SettingResult) -> dict[str, MetricEstimate]:
    rate = result.images_per_second
    images = report.batch_size_of(result)
    batches = Interval(rate.interval.low / images, rate.interval.high / images, LEVEL)
    estimates = {
        "images_per_second": rate,
        "batches_per_second": MetricEstimate(rate.value / images, batches),
    }
    if result.batch_seconds:
        waits = result.batch_seconds
        estimates["p99"] = MetricEstimate(quantile(waits, 0.99), quantile_interval(waits, 0.99, LEVEL))
    if result.overhead_share is not None:
        estimates["overhead_share"] = result.overhead_share
    return estimates


def _exact_checks(report: SweepReport, result: SettingResult, name: str) -> list[Verdict]:
    verdicts = _memory_check(report, result, name)
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


def _memory_check(report: SweepReport, result: SettingResult, name: str) -> list[Verdict]:
    if report.machine is None or result.memory is None:
        return []
    growth, available = result.memory.peak_growth_bytes, report.machine.available_bytes
    outcome = Outcome.KEPT if growth <= SAFE_MEMORY_FRACTION * available else Outcome.BROKEN
    amounts = (format_quantity(amount, MetricKind.BYTES) for amount in (growth, available))
    reason = "loading takes {} of the {} that were available, expected at most {:.0%}".format(
        *amounts, SAFE_MEMORY_FRACTION
    )
    return [Verdict(name, "memory", outcome, reason)]


def _normalization_outcome(mean: float, std: float) -> Outcome:
    """Kept for photographs, unclear for what other images could give, broken for what no bytes can give.

    >>> [_normalization_outcome(*moments).value for moments in ((0.2, 0.9), (2.2, 0.3), (120.0, 60.0))]
    ['kept', 'unclear', 'broken']
    """
    if abs(mean) < 1 and 0.5 < std < 1.5:
        return Outcome.KEPT
    # The brightest byte is 2.6 standard deviations of ImageNet's images above their mean.
    return Outcome.UNCLEAR if abs(mean) < 3 and std < 3 else Outcome.BROKEN
