from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest

from perfsuite.errors import DataError, UsageError
from perfsuite.training.run.progress import EpochResult
from perfsuite.training.run.tracking import JsonLinesLogger, MlflowLogger

RESULT = EpochResult(epoch=0, images=10, train_loss=1.5, learning_rate=0.1, val_loss=None, val_accuracy=0.5)


def read_lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_is_logged_as_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "m.jsonl"
    log = JsonLinesLogger(path, {"seed": 42})
    log.on_losses(3, [1.0, 2.0, 3.0])
    log.on_epoch(RESULT)
    lines = read_lines(path)
    assert [line["event"] for line in lines] == ["settings", "losses", "epoch"]
    assert lines[1]["first_step"] == 1
    assert lines[2]["val_accuracy"] == 0.5


def test_a_resumed_run_appends_to_the_log_and_a_new_one_replaces_it(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    JsonLinesLogger(path, {"seed": 1})
    JsonLinesLogger(path, {"seed": 1}, resumed=True)
    assert [line["event"] for line in read_lines(path)] == ["settings", "resumed"]
    JsonLinesLogger(path, {"seed": 2})
    assert [line["seed"] for line in read_lines(path)] == [2]


def test_a_log_has_no_nan_which_json_lacks(tmp_path: Path) -> None:
    log = JsonLinesLogger(tmp_path / "m.jsonl", {})
    log.on_losses(2, [math.nan, 1.0])
    log.finish("FAILED", {"preset": "eager"}, [])
    lines = read_lines(tmp_path / "m.jsonl")
    assert lines[1]["losses"] == [None, 1.0]
    assert lines[2] == {"event": "outcome", "status": "FAILED", "preset": "eager"}


def test_an_unwritable_log_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        JsonLinesLogger(tmp_path / "file" / "m.jsonl", {})


def test_a_log_that_becomes_unwritable_is_an_error(tmp_path: Path) -> None:
    log = JsonLinesLogger(tmp_path / "logs" / "run.jsonl", {})
    (tmp_path / "logs" / "run.jsonl").unlink()
    (tmp_path / "logs").rmdir()
    with pytest.raises(DataError, match=r"run\.jsonl: the log cannot be written \(No such file"):
        log.on_losses(1, [0.5])


def test_a_missing_mlflow_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UsageError, match=r"perfsuite\[track\]"):
        MlflowLogger("sqlite:///x.db", {})


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # from MLflow itself
@pytest.mark.slow  # MLflow takes seconds to import
def test_a_uri_that_mlflow_cannot_log_to_is_an_error() -> None:
    pytest.importorskip("mlflow", reason="mlflow is not installed (extra: track)")
    with pytest.raises(UsageError, match="nonsense://x cannot be logged to"):
        MlflowLogger("nonsense://x", {})


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # from MLflow itself
@pytest.mark.slow  # MLflow takes seconds to import and to create its database
def test_mlflow_receives_settings_losses_metrics_and_files(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed (extra: track)")
    uri = f"sqlite:///{tmp_path / 'runs.db'}"
    weights = tmp_path / "m.pth"
    weights.write_bytes(b"weights")
    client = mlflow.MlflowClient(tracking_uri=uri)
    client.create_experiment("perfsuite", artifact_location=(tmp_path / "artifacts").as_uri())
    log = MlflowLogger(uri, {"seed": 42}, name="first")
    log.on_losses(2, [1.5, 1.25])
    assert not client.get_metric_history(log.run_id, "loss")  # nothing is written while steps run
    log.on_epoch(RESULT)
    log.on_resources(0, {"seconds": 2.0})
    log.finish("FINISHED", {"preset": "eager"}, [weights, tmp_path / "absent.txt"])
    run = client.get_run(log.run_id)
    assert run.info.status == "FINISHED"
    assert (run.data.params["seed"], run.data.params["preset"]) == ("42", "eager")
    assert run.data.metrics["seconds"] == 2.0
    assert run.data.metrics["val_accuracy"] == 0.5
    assert "val_loss" not in run.data.metrics  # there was no validation loss
    assert [(metric.step, metric.value) for metric in client.get_metric_history(log.run_id, "loss")] == [
        (1, 1.5),
        (2, 1.25),
    ]
    assert [artifact.path for artifact in client.list_artifacts(log.run_id)] == ["m.pth"]
    assert MlflowLogger(uri, {}).run_id != log.run_id  # into the same experiment
