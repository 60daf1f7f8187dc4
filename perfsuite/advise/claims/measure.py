"""Measure the claims part by part; each part's results are handed out before the next part begins."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from perfsuite.advise.claims import inference, loading, training
from perfsuite.advise.claims.compile_cache import empty_compile_cache
from perfsuite.advise.claims.config import ClaimsConfig
from perfsuite.advise.claims.epochs import compare_epochs
from perfsuite.advise.claims.process_times import ProcessTimes, time_processes_in_turns
from perfsuite.advise.claims.results import ClaimsReport
from perfsuite.advise.claims.training import VariantTimes
from perfsuite.advise.time_limit import TimeIsUpError, TimeLimit, format_duration, interrupt_when_over
from perfsuite.advise.timed_step import random_batch
from perfsuite.errors import PerfsuiteError
from perfsuite.measure.environment import detect_environment

if TYPE_CHECKING:
    from torch import Tensor, nn

# A part measures for so many seconds, and returns the report with its results.
ClaimsPart = Callable[[ClaimsReport, float], ClaimsReport]


def measure_claims(
    config: ClaimsConfig,
    image_dir: Path,
    on_progress: Callable[[str], None],
    on_report: Callable[[ClaimsReport], None],
) -> ClaimsReport:
    """Measure every part on this machine; `on_report` gets the results so far after each.

    Each part gets an equal share of the time that is left. What the time does not suffice for stays pending.
    """
    limit = TimeLimit.start(config.seconds)
    parts = _parts(config, image_dir)
    report = ClaimsReport(settings=_settings(config), items_per_call=config.batch_size, pending=tuple(parts))
    try:
        with interrupt_when_over(limit):
            for number, (name, part) in enumerate(parts.items(), 1):
                if limit.is_over:
                    break
                on_progress(f"{number} of {len(parts)}: {name}; {format_duration(limit.left)} left")
                report = _measure_part(report, name, part, limit.left / len(report.pending))
                on_report(report)
    except TimeIsUpError:
        pass
    if report.pending:
        on_report(report)  # nothing was reported if the time was over in the first part
        on_progress(f"the time is over; not measured: {', '.join(report.pending)}; give more --seconds")
    return report


def _measure_part(report: ClaimsReport, name: str, part: ClaimsPart, seconds: float) -> ClaimsReport:
    try:
        report = part(report, seconds)
    except PerfsuiteError as error:
        report = replace(report, rejected={**report.rejected, name: str(error)})
    return replace(report, pending=report.pending[1:])


def _parts(config: ClaimsConfig, image_dir: Path) -> dict[str, ClaimsPart]:
    model, images, labels = _model_and_batch(config, image_dir)

    def memory(report: ClaimsReport, seconds: float) -> ClaimsReport:
        names = [row.name for row in report.tables.get("training", ())]
        sizes, metric = training.measure_memory(model, images, labels, names)
        return replace(report, memory=sizes, memory_metric=metric)

    def epochs(report: ClaimsReport, seconds: float) -> ClaimsReport:
        times = compare_epochs(config, image_dir, model, report.rejected, seconds)
        return _with_table(report, "epoch", times)

    def stalls(report: ClaimsReport, seconds: float) -> ClaimsReport:
        return replace(report, stalls=loading.measure_stalls(config, image_dir, model, seconds))

    def processes(report: ClaimsReport, seconds: float) -> ClaimsReport:
        return replace(report, processes=_time_train_processes(config, image_dir, seconds))

    return {
        "loading": _table_part(
            "loading", lambda seconds: loading.compare_loaders(config, image_dir, seconds)
        ),
        "loader against training step": _table_part(
            "bottleneck",
            lambda seconds: loading.compare_loader_with_step(
                config, image_dir, model, images, labels, seconds
            ),
        ),
        "waiting for the loader": stalls,
        "batch sizes": _table_part(
            "batch size", lambda seconds: training.compare_batch_sizes(model, images, labels, seconds)
        ),
        "training, with compilation": _table_part(
            "training",
            lambda seconds: training.compare_presets(model, images, labels, seconds),
            within=empty_compile_cache,
        ),
        "whole epochs, with compilation": epochs,
        "memory": memory,
        "inference, with compilation": _table_part(
            "inference",
            lambda seconds: inference.compare_runtimes(model, images, seconds),
            within=empty_compile_cache,
        ),
        "whole processes": processes,
    }


def _table_part(
    table: str,
    measure: Callable[[float], VariantTimes],
    within: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> ClaimsPart:
    """A part that measures the rows of one table."""

    def part(report: ClaimsReport, seconds: float) -> ClaimsReport:
        with within():
            times = measure(seconds)
        return _with_table(report, table, times)

    return part


def _with_table(report: ClaimsReport, table: str, times: VariantTimes) -> ClaimsReport:
    return replace(
        report,
        tables={**report.tables, table: times.rows},
        rejected={**report.rejected, **times.rejected},
    )


def _model_and_batch(config: ClaimsConfig, image_dir: Path) -> tuple[nn.Module, Tensor, Tensor]:
    import torch

    from perfsuite.advise.inputs.models import MODEL, count_classes, load_model
    from perfsuite.data.sources.splits import read_splits

    device = torch.device(config.device)
    images, labels = random_batch(config.batch_size, config.image_size, device, seed=0)
    classes = len(read_splits(image_dir, 0.0, 0.0)["train"].class_names)
    model = load_model(config.model, max(10, classes)).to(device)
    return model, images, labels % count_classes(model, images, f"{MODEL} {config.model}")


def _time_train_processes(
    config: ClaimsConfig, image_dir: Path, seconds: float
) -> Mapping[str, tuple[ProcessTimes, ...]]:
    with TemporaryDirectory(prefix="perfsuite-claims-") as folder:
        train = [
            *(sys.executable, "-m", "perfsuite", "train", "--quiet", "--data-dir", str(image_dir)),
            *("--model", config.model, "--image-size", str(config.image_size), "--no-amp"),
            *("--batch-size", str(config.batch_size), "--device", config.device),
            *("--model-path", f"{folder}/m.pth"),
        ]
        without_workers = [*train, "--num-workers", "0"]
        commands = {
            "no workers": without_workers,
            "default workers": train,
            "channels_last": [*without_workers, "--channels-last"],
            "fused": [*without_workers, "--fused"],
        }
        return time_processes_in_turns(commands, seconds)


def _settings(config: ClaimsConfig) -> dict[str, str]:
    import torch

    hard = detect_environment().hard
    return {
        "machine": f"{hard['cpu']}, {hard['cores']} cores, GPU {hard.get('gpu', 'none')}",
        "versions": f"torch {torch.__version__}, Python {hard['python']}",
        "threads": str(torch.get_num_threads()),
        "case": f"{config.model}, {config.image_size} px, batches of {config.batch_size}",
        "device": config.device,
        "time": f"{config.seconds:g} s in all",
    }
