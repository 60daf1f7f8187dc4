"""`perfsuite train`: what is trained, logged and saved, and which options are refused."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from perfsuite.advise import preset_search
from perfsuite.cli import main, preset_options
from perfsuite.cli.commands import train as train_command
from perfsuite.errors import UsageError
from perfsuite.measure.environment import cpu_model
from perfsuite.training.distributed.torchrun import run_ranks
from perfsuite.training.run.checkpoint import Checkpoint
from perfsuite.training.step.presets import CHANNELS_LAST
from tests.one_thread import one_thread  # noqa: F401 - is used by being here


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of different colors."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for label, color in (("blue", (30, 30, 200)), ("red", (200, 30, 30))):
        (folder / label).mkdir()
        for number in range(30):
            pixels = np.clip(rng.normal(color, 20, (40, 48, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number:02}.jpg")
    return folder


def train(data_dir: Path, path: Path, *more: str) -> int:
    words = ["train", "--data-dir", str(data_dir), "--model-path", str(path), "--image-size", "32"]
    return main([*words, "--batch-size", "8", "--num-workers", "0", *more])


def log_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.with_suffix(".jsonl").read_text().splitlines()]


def test_a_folder_of_images_is_learned_and_the_model_saved(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.pth"
    assert train(data_dir, path, "--epochs", "3") == 0
    assert "small, 2 classes" in capsys.readouterr().out
    checkpoint = Checkpoint.load(path)
    assert checkpoint.spec.class_names == ("blue", "red")
    assert checkpoint.spec.image_size == 32
    epochs = [line for line in log_of(path) if line["event"] == "epoch"]
    assert len(epochs) == 3
    assert epochs[-1]["val_accuracy"] == 1.0
    assert log_of(path)[0]["torch"] == torch.__version__
    assert log_of(path)[0]["cpu"] == cpu_model()


def test_the_fastest_preset_is_measured_and_logged(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.pth"
    assert train(data_dir, path, "--fastest", "0.5", "--no-amp", "--clip-grad-norm", "1") == 0
    out = capsys.readouterr().out
    assert "channels_last+fused: " in out
    assert "bf16" not in out
    assert f"training with {log_of(path)[0]['requested_preset']}\n" in out


def test_compiled_presets_are_timed_only_with_compile(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed: list[Sequence[str]] = []

    def choose(
        model: Any, images: Any, labels: Any, candidates: Sequence[str], seconds: float, on_progress: Any
    ) -> preset_search.PresetChoice:
        timed.append(candidates)
        return preset_search.PresetChoice(CHANNELS_LAST, {}, {})

    monkeypatch.setattr(preset_search, "find_fastest_preset", choose)
    assert train(data_dir, tmp_path / "m.pth", "--fastest", "--compile", "--quiet") == 0
    assert train(data_dir, tmp_path / "n.pth", "--fastest", "--quiet") == 0
    assert log_of(tmp_path / "m.pth")[0]["requested_preset"] == "channels_last"
    assert ["compiled" in candidates for candidates in timed] == [True, False]


@pytest.mark.parametrize(
    "words",
    [
        ["--compile", "max-autotune"],
        ["--channels-last"],
        ["--precision", "bf16"],
        ["--amp", "--fused"],
        ["--resume"],
    ],
)
def test_fastest_excludes_options_that_name_a_preset(
    words: list[str], data_dir: Path, tmp_path: Path
) -> None:
    assert train(data_dir, tmp_path / "m.pth", "--fastest", "0.1", *words) == 2
    assert not (tmp_path / "m.pth").exists()


def test_an_unknown_optimizer_names_the_known_ones(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(data_dir, tmp_path / "m.pth", "--optimizer", "adam") == 2
    assert "optimizer: 'adam' is not known, expected sgd, adamw" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more",
    [
        ["--amp", "--channels-last", "--fused", "--clip-grad-norm", "1"],
        ["--no-amp", "--gradient-accumulation-steps", "3", "--schedule", "one_cycle"],
        ["--activation-checkpointing", "--optimizer", "adamw", "--lr", "0.003", "--label-smoothing", "0.1"],
        pytest.param(["--compile"], marks=pytest.mark.slow),
    ],
    ids=lambda words: " ".join(words),
)
def test_every_speed_option_trains(
    more: list[str], data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.compiler.reset()
    assert train(data_dir, tmp_path / "m.pth", *more) == 0
    out = capsys.readouterr().out
    assert "test accuracy" in out
    assert ("0 graph breaks" in out) == ("--compile" in more)


def test_cifar_files_are_trained_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    for name, count in (("data_batch_1", 40), ("test_batch", 20)):
        records = rng.integers(0, 256, (count, 3073), dtype=np.uint8)
        records[:, 0] %= 10
        records.tofile(tmp_path / f"{name}.bin")
    path = tmp_path / "m.pth"
    words = ["train", "--data-dir", str(tmp_path), "--model-path", str(path), "--batch-size", "16", "--quiet"]
    assert main(words) == 0
    spec = Checkpoint.load(path).spec
    assert (spec.image_size, spec.class_names[0], spec.mean[0]) == (32, "airplane", 0.4914)
    assert main([*words, "--augmentation-mode", "moderate"]) == 2
    assert "leave --image-size and --augmentation-mode out" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_run_continues_with_resume(data_dir: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole.pth", tmp_path / "killed.pth"
    more = ["--epochs", "6", "--checkpoint-every", "1", "--quiet"]
    assert train(data_dir, whole, *more) == 0
    command = [
        *(sys.executable, "-m", "perfsuite", "train", "--data-dir", str(data_dir), "--image-size", "32"),
        *("--batch-size", "8", "--num-workers", "0", "--model-path", str(killed), *more),
    ]
    # The same number of threads as here, because the order of sums affects rounding.
    with subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}) as process:
        deadline = time.monotonic() + 120
        while not killed.exists() and time.monotonic() < deadline:
            time.sleep(0.002)
        process.kill()
    assert Checkpoint.load(killed).training["steps_done"] < 36
    assert train(data_dir, killed, *more, "--resume") == 0
    expected, resumed = Checkpoint.load(whole), Checkpoint.load(killed)
    assert resumed.training["history"] == expected.training["history"]
    for name, value in expected.weights.items():
        assert torch.equal(resumed.weights[name], value), name


def test_resume_takes_the_model_of_the_checkpoint(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.pth"
    assert train(data_dir, path, "--model", "resnet18-cifar", "--quiet") == 0
    assert train(data_dir, path, "--resume", "--quiet") == 0
    assert "resnet18-cifar, 2 classes" in capsys.readouterr().out
    assert train(data_dir, path, "--resume", "--model", "small") == 2
    assert "'resnet18-cifar', expected a 'small'; leave --model out" in capsys.readouterr().err


@pytest.mark.slow
def test_fsdp_shards_the_parameters_over_several_processes(data_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    words = ["-m", "perfsuite", "train", "--fsdp", "--data-dir", str(data_dir), "--model-path", str(path)]
    words += [
        "--image-size",
        "32",
        "--batch-size",
        "4",
        "--num-workers",
        "0",
        "--device",
        "cpu",
        "--epochs",
        "3",
    ]
    out = run_ranks(2, words, 200.0, {"OMP_NUM_THREADS": "1"})
    assert out.count("test accuracy 100.0%") == 1  # only the first rank prints
    assert (log_of(path)[0]["world_size"], log_of(path)[0]["fsdp"]) == (2, True)
    red = str(next((data_dir / "red").glob("*.jpg")))
    assert main(["predict", "--model-path", str(path), red]) == 0
    assert train(data_dir, path, "--resume", "--epochs", "3", "--quiet") == 2  # in one process: other batches


def one_class(folder: Path) -> None:
    (folder / "only").mkdir()
    Image.new("RGB", (40, 40)).save(folder / "only" / "0.jpg")


def pickled_cifar(folder: Path) -> None:
    for name in ("batches.meta", "data_batch_1"):
        (folder / name).write_bytes(b"pickled")


def empty(folder: Path) -> None:
    (folder / "a").mkdir()


@pytest.mark.parametrize(
    ("prepare", "more", "message"),
    [
        (one_class, [], "one class (only), expected at least two"),
        (empty, [], "no images found"),
        (pickled_cifar, [], "give the binary version"),
        (None, ["--data-dir", "/nowhere/at/all"], "no such folder"),
        (None, ["--model", "vgg"], "'vgg' is not known"),
        (None, ["--resume"], "no such checkpoint"),
        (None, ["--device", "tpu"], "device: 'tpu', expected cpu, cuda or cuda:N"),
        (None, ["--clip-grad-norm", "-1"], "clip_norm is -1.0, expected above 0"),
        (None, ["--amp", "--precision", "fp16"], "exclude each other"),
        (None, ["--fsdp"], "there is one process, expected several"),
        (None, ["--model-path", "."], "is a folder, expected a file in one"),
        (None, ["--lr", "1e30", "--epochs", "3"], "expected a finite number; lower the learning rate"),
    ],
)
def test_errors_are_printed_without_a_traceback(
    prepare: object,
    more: list[str],
    message: str,
    data_dir: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = data_dir
    if prepare is not None:
        folder = tmp_path / "data"
        folder.mkdir()
        prepare(folder)  # type: ignore[operator]
    assert train(folder, tmp_path / "m.pth", "--quiet", *more) in (1, 2)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--lr", "-1", "a number of 0 or more"),
        ("--lr", "nan", "a number of 0 or more"),
        ("--weight-decay", "-1", "a number of 0 or more"),
        ("--label-smoothing", "1", "a number of 0 or more and below 1"),
        ("--seed", "-5", "a whole number of 0 or more"),
        ("--num-workers", "-1", "a whole number of 0 or more"),
        ("--fastest", "0", "a time above 0"),
        ("--epochs", "0", "a whole number of 1 or more"),
    ],
)
def test_numbers_out_of_range_are_usage_errors(
    option: str, value: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "--model-path", str(tmp_path / "m.pth"), option, value])
    assert ended.value.code == 2
    assert re.search(f"{value}'?, expected {expected}", capsys.readouterr().err)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_missing_gpu_is_a_usage_error(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(data_dir, tmp_path / "m.pth", "--device", "cuda") == 2
    assert "torch sees no CUDA device" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "precision"),
    [([], "float32"), (["--amp"], "bf16"), (["--no-amp"], "float32"), (["--precision", "ieee"], "ieee")],
)
def test_amp_means_bf16_and_is_off_by_default_on_a_cpu(words: list[str], precision: str) -> None:
    parser = argparse.ArgumentParser()
    train_command.add_arguments(parser)
    options = preset_options.PresetOptions.from_arguments(parser.parse_args(words))
    assert preset_options.describe_preset(options, torch.device("cpu")).precision == precision


@pytest.mark.parametrize(("percent", "has_remedy"), [(60, True), (89.9, True), (90, False)])
def test_a_gpu_that_waits_is_reported_with_a_remedy(percent: float, has_remedy: bool) -> None:
    message = train_command._gpu_use_message(percent)
    assert ("perfsuite profile loading" in message) == has_remedy


def test_compile_and_activation_checkpointing_exclude_each_other() -> None:
    parser = argparse.ArgumentParser()
    train_command.add_arguments(parser)
    arguments = parser.parse_args(["--compile", "--activation-checkpointing"])
    with pytest.raises(UsageError, match="are both set, expected one of them"):
        preset_options.describe_preset(
            preset_options.PresetOptions.from_arguments(arguments), torch.device("cpu")
        )


class MlflowRecorder:
    """Stands for MLflow's client: what would be in its database."""

    def __init__(self, tracking_uri: str) -> None:
        self.params: dict[str, Any] = {}
        self.metrics: dict[str, list[tuple[int, float]]] = {}
        self.status: str | None = None
        recorders.append(self)

    def get_experiment_by_name(self, name: str) -> None:
        return None

    def create_experiment(self, name: str) -> str:
        return "1"

    def create_run(self, experiment_id: str, run_name: str | None) -> Any:
        return SimpleNamespace(info=SimpleNamespace(run_id="run"))

    def log_param(self, run_id: str, key: str, value: Any) -> None:
        assert key not in self.params  # MLflow refuses to change a parameter
        self.params[key] = value

    def log_metric(self, run_id: str, key: str, value: float, step: int) -> None:
        self.metrics.setdefault(key, []).append((step, value))

    def log_artifact(self, run_id: str, path: str) -> None: ...

    def set_terminated(self, run_id: str, status: str) -> None:
        self.status = status


recorders: list[MlflowRecorder] = []


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> list[MlflowRecorder]:
    recorders.clear()
    module: Any = ModuleType("mlflow")
    module.MlflowClient, module.exceptions = MlflowRecorder, SimpleNamespace(MlflowException=OSError)
    monkeypatch.setitem(sys.modules, "mlflow", module)
    return recorders


@pytest.mark.filterwarnings("ignore::perfsuite.training.step.compile.CompileFallbackWarning")
@pytest.mark.parametrize("fails", [True, False])
def test_the_logs_name_the_preset_that_ran(
    fails: bool,
    data_dir: Path,
    tmp_path: Path,
    mlflow: list[MlflowRecorder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def compile_or_fail(function: Any, mode: Any = None) -> Any:
        if fails:
            raise RuntimeError("planted: no compiler")
        return lambda *arguments: function(*arguments)

    monkeypatch.setattr(torch, "compile", compile_or_fail)
    path = tmp_path / "m.pth"
    assert train(data_dir, path, "--compile", "--quiet", "--mlflow", "sqlite:///x.db") == 0
    outcome, params = log_of(path)[-1], mlflow[0].params
    assert outcome["event"] == "outcome"
    ran = "eager" if fails else "compiled"
    assert (params["requested_preset"], params["preset"], outcome["preset"]) == ("compiled", ran, ran)
    assert (params["compile_fallback"] is not None) == fails
    assert "preset" not in log_of(path)[0]  # nothing is claimed before it is known


def test_settings_time_rate_and_memory_are_logged(
    data_dir: Path, tmp_path: Path, mlflow: list[MlflowRecorder]
) -> None:
    path = tmp_path / "m.pth"
    more = ["--epochs", "2", "--quiet", "--augmentation-mode", "moderate", "--clip-grad-norm", "2"]
    assert train(data_dir, path, *more, "--mlflow", "sqlite:///x.db") == 0
    params, metrics = mlflow[0].params, mlflow[0].metrics
    expected = {"num_workers": 0, "augmentation_mode": "moderate", "image_size": 32, "batch_size": 8}
    expected |= {"clip_norm": 2.0, "engine": "inline", "compile_fallback": None, "steps_skipped": 0}
    assert {name: params[name] for name in expected} == expected
    assert mlflow[0].status == "FINISHED"
    for name in ("seconds", "images_per_second", "memory_bytes", "train_loss"):
        assert [step for step, _ in metrics[name]] == [0, 1], name
        assert all(value > 0 for _, value in metrics[name])
    resources = [line for line in log_of(path) if line["event"] == "resources"]
    assert [line["epoch"] for line in resources] == [0, 1]
    assert log_of(path)[-1]["status"] == "FINISHED"


def test_settings_of_a_file_are_used_and_the_command_line_wins(
    data_dir: Path, tmp_path: Path, mlflow: list[MlflowRecorder]
) -> None:
    settings, path = tmp_path / "loader.toml", tmp_path / "m.pth"
    settings.write_text('batch_size = 16\nnum_workers = 1\nengine = "threads"\n')
    words = ["train", "--data-dir", str(data_dir), "--model-path", str(path), "--image-size", "32", "--quiet"]
    words += ["--settings", str(settings), "--mlflow", "sqlite:///x.db"]
    assert main(words) == 0
    assert main([*words, "--batch-size", "32", "--num-workers", "0"]) == 0
    used = [[each.params[name] for name in ("batch_size", "num_workers", "engine")] for each in mlflow]
    assert used == [[16, 1, "threads"], [32, 0, "inline"]]


def test_a_failed_run_is_logged_as_failed(
    data_dir: Path, tmp_path: Path, mlflow: list[MlflowRecorder]
) -> None:
    path = tmp_path / "m.pth"
    assert train(data_dir, path, "--lr", "1e30", "--epochs", "3", "--quiet", "--mlflow") == 2
    assert mlflow[0].status == log_of(path)[-1]["status"] == "FAILED"


def test_resuming_with_another_mode_or_clipping_is_refused(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.pth"
    assert train(data_dir, path, "--quiet") == 0
    assert train(data_dir, path, "--quiet", "--resume", "--epochs", "2") == 0
    more = ["--augmentation-mode", "moderate", "--clip-grad-norm", "1"]
    assert train(data_dir, path, "--quiet", "--resume", *more) == 2
    error = capsys.readouterr().err
    assert "clip_norm None there, 1.0 here" in error
    assert "augmentation_mode 'mirror' there, 'moderate' here" in error


def test_a_damaged_image_is_skipped_and_listed_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for label in ("blue", "red"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(12):
            Image.new("RGB", (40, 40), label).save(tmp_path / "images" / label / f"{number:02}.jpg")
    (tmp_path / "images" / "red" / "99.jpg").write_bytes(b"")
    words = (tmp_path / "images", tmp_path / "m.pth", "--quiet", "--mode", "train")
    assert train(*words) != 0, "the negative control: by default the empty file ends the training"
    assert "99.jpg" in capsys.readouterr().err
    assert train(*words, "--on-error", "skip") == 0
    errors = capsys.readouterr().err
    assert re.search(
        r"(train|val|test): \d+ times? an image could not be read, 1 files\n  .*99\.jpg: ", errors
    )


def test_options_of_a_config_file_train(data_dir: Path, tmp_path: Path) -> None:
    config = tmp_path / "train.toml"
    config.write_text(
        f'data_dir = "{data_dir}"\nimage_size = 32\nbatch_size = 8\nnum_workers = 0\nepochs = 2'
    )
    words = ["train", "--config", str(config), "--model-path", str(tmp_path / "m.pth"), "--quiet"]
    assert main([*words, "--epochs", "1"]) == 0
    settings = log_of(tmp_path / "m.jsonl")[0]
    assert (settings["batch_size"], settings["epochs"], settings["image_size"]) == (8, 1, 32)
