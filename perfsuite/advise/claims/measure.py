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
from perfsuite.advise.claims.process_times import ProcessTimes, time_processes_in_turns
from perfsuite.advise.claims.results import ClaimsReport
from perfsuite.advise.claims.training import VariantTimes
from perfsuite.advise.timed_step import random_batch
from perfsuite.errors import PerfsuiteError
from perfsuite.measure.environment import detect_environment

if TYPE_CHECKING:
    from torch import Tensor, nn

# A part measures, and returns the report with its results.
ClaimsPart = Callable[[ClaimsReport], ClaimsReport]


def measure_claims(
    config: ClaimsConfig,
    image_dir: Path,
    on_progress: Callable[[str], None],
    on_report: Callable[[ClaimsReport], None],
) -> ClaimsReport:
    """Measure every part on this machine; `on_report` gets the results so far after each."""
    parts = _parts(config, image_dir)
    report = ClaimsReport(settings=_settings(config), items_per_call=config.batch_size, pending=tuple(parts))
    for number, (name, part) in enumerate(parts.items(), 1):
        on_progress(f"{number} of {len(parts)}: {name}")
        try:
            report = part(report)
        except PerfsuiteError as error:
            report = replace(report, rejected={**report.rejected, name: str(error)})
        report = replace(report, pending=report.pending[1:])
        on_report(report)
    return report


def _parts(config: ClaimsConfig, image_dir: Path) -> dict[str, ClaimsPart]:
    model, images, labels = _model_and_batch(config)
    seconds = config.seconds

    def memory(report: ClaimsReport) -> ClaimsReport:
        names = [row.name for row in report.tables.get("training", ())]
        sizes, metric = training.measure_memory(model, images, labels, names)
        return replace(report, memory=sizes, memory_metric=metric)

    def stalls(report: ClaimsReport) -> ClaimsReport:
        return replace(report, stalls=loading.measure_stalls(config, image_dir, model))

    def processes(report: ClaimsReport) -> ClaimsReport:
        return replace(report, processes=_time_train_processes(config, image_dir))

    return {
        "loading": _table_part("loading", lambda: loading.compare_loaders(config, image_dir)),
        "loader against training step": _table_part(
            "bottleneck",
            lambda: loading.compare_loader_with_step(config, image_dir, model, images, labels),
        ),
        "waiting for the loader": stalls,
        "batch sizes": _table_part(
            "batch size", lambda: training.compare_batch_sizes(model, images, labels, seconds)
        ),
        "training, with compilation": _table_part(
            "training",
            lambda: training.compare_presets(model, images, labels, seconds),
            within=empty_compile_cache,
        ),
        "memory": memory,
        "inference, with compilation": _table_part(
            "inference",
            lambda: inference.compare_runtimes(model, images, seconds),
            within=empty_compile_cache,
        ),
        "whole processes": processes,
    }


def _table_part(
    table: str,
    measure: Callable[[], VariantTimes],
    within: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> ClaimsPart:
    """A part that measures the rows of one table."""

    def part(report: ClaimsReport) -> ClaimsReport:
        with within():
            times = measure()
        return replace(
            report,
            tables={**report.tables, table: times.rows},
            rejected={**report.rejected, **times.rejected},
        )

    return part


def _model_and_batch(config: ClaimsConfig) -> tuple[nn.Module, Tensor, Tensor]:
    import torch

    from perfsuite.training.models import make_model

    device = torch.device(config.device)
    images, labels = random_batch(config.batch_size, config.image_size, device, seed=0)
    return make_model(config.model, 10).to(device), images, labels


def _time_train_processes(config: ClaimsConfig, image_dir: Path) -> Mapping[str, tuple[ProcessTimes, ...]]:
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
        return time_processes_in_turns(commands, config.seconds)


def _settings(config: ClaimsConfig) -> dict[str, str]:
    import torch

    hard = detect_environment().hard
    return {
        "machine": f"{hard['cpu']}, {hard['cores']} cores, GPU {hard.get('gpu', 'none')}",
        "versions": f"torch {torch.__version__}, Python {hard['python']}",
        "threads": str(torch.get_num_threads()),
        "case": f"{config.model}, {config.image_size} px, batches of {config.batch_size}",
        "device": config.device,
        "time": f"{config.seconds:g} s per table",
    }
