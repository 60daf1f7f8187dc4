"""Measure what the claims are judged by, part by part."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from perfsuite.advise.claims import inference, loading, training
from perfsuite.advise.claims.compile_cache import empty_compile_cache
from perfsuite.advise.claims.config import ClaimsConfig
from perfsuite.advise.claims.epochs import compare_epochs
from perfsuite.advise.claims.parts import PARTS, Measure, after, measure_parts
from perfsuite.advise.claims.process_times import ProcessTimes, time_processes_in_turns
from perfsuite.advise.claims.results import ClaimsReport
from perfsuite.advise.claims.variants import VariantTimes
from perfsuite.advise.time_limit import TimeIsUpError, TimeLimit
from perfsuite.advise.timed_step import random_batch
from perfsuite.errors import PerfsuiteError
from perfsuite.measure.environment import detect_environment

if TYPE_CHECKING:
    from torch import Tensor, nn


def measure_claims(
    config: ClaimsConfig,
    image_dir: Path,
    on_progress: Callable[[str], None],
    on_report: Callable[[ClaimsReport], None],
) -> ClaimsReport:
    """Measure every part on this machine; `on_report` gets the results so far after each.

    The compile cache is empty at first, and one for all parts: epochs run what was compiled for steps.
    """
    limit = TimeLimit.start(config.seconds)
    report = ClaimsReport(settings=_settings(config), items_per_call=config.batch_size)
    measures = _measures(config, image_dir)
    with empty_compile_cache():
        return measure_parts(measures, report, limit, on_progress, on_report)


def _measures(config: ClaimsConfig, image_dir: Path) -> dict[str, Measure]:
    model, images, labels = _model_and_batch(config, image_dir)

    def loaders(report: ClaimsReport, limit: TimeLimit) -> ClaimsReport:
        return _with_table(report, "loading", loading.compare_loaders(config, image_dir, limit))

    def bottleneck(report: ClaimsReport, limit: TimeLimit) -> ClaimsReport:
        times = loading.compare_loader_with_step(config, image_dir, model, images, labels, limit)
        return _with_table(report, "bottleneck", times)

    def stalls(report: ClaimsReport, limit: TimeLimit) -> ClaimsReport:
        return replace(report, stalls=loading.measure_stalls(config, image_dir, model, limit))

    def batch_sizes(report: ClaimsReport, limit: TimeLimit) -> ClaimsReport:
        times = training.compare_batch_sizes(model, images, labels, limit)
        return _with_table(report, "batch size", times)

    def presets(report: ClaimsReport, limit: TimeLimit) -> ClaimsReport:
        return _with_table(report, "training", training.compare_presets(model, images, labels, limit))

    def epochs(report: ClaimsReport, limit: TimeLimit) -> ClaimsReport:
        verified = {"eager", *_names_of_steps(report)}
        return _with_table(report, "epoch", compare_epochs(config, image_dir, model, verified, limit))

    def memory(report: ClaimsReport, limit: TimeLimit) -> ClaimsReport:
        names = _names_of_steps(report)
        if not names:
            raise PerfsuiteError("memory: no training step was measured, expected eager's at least")
        sizes, metric = training.measure_memory(model, images, labels, names)
        return replace(report, memory=sizes, memory_metric=metric)

    def runtimes(report: ClaimsReport, limit: TimeLimit) -> ClaimsReport:
        return _with_table(report, "inference", inference.compare_runtimes(model, images, limit))

    def processes(report: ClaimsReport, limit: TimeLimit) -> ClaimsReport:
        return _time_train_processes(report, config, image_dir, limit)

    return {
        "loading": loaders,
        "bottleneck": bottleneck,
        "stalls": stalls,
        "batch size": batch_sizes,
        "training": presets,
        "epoch": epochs,
        "memory": memory,
        "inference": runtimes,
        "processes": processes,
    }


def _names_of_steps(report: ClaimsReport) -> list[str]:
    """The variants whose training step was compared with eager's, and timed."""
    return [row.name for row in report.tables.get("training", ())]


def _with_table(report: ClaimsReport, table: str, times: VariantTimes) -> ClaimsReport:
    title = PARTS[table].title
    reasons = {f"{title}: {variant}": reason for variant, reason in times.rejected.items()}
    return replace(report.with_rejected(reasons), tables={**report.tables, table: times.rows})


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
    report: ClaimsReport, config: ClaimsConfig, image_dir: Path, limit: TimeLimit
) -> ClaimsReport:
    """Time `perfsuite train` as whole processes; where the time ends, those that have ended are kept."""
    times: dict[str, list[ProcessTimes]] = {}
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
        try:
            time_processes_in_turns(commands, limit.left, min_rounds=2, into=times)
        except TimeIsUpError:
            missing = {
                f"{PARTS['processes'].title}: {name}": f"not done {after(limit)}"
                for name in commands
                if not times[name]
            }
            report = report.with_rejected(missing)
    return replace(report, processes={name: tuple(taken) for name, taken in times.items() if taken})


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
