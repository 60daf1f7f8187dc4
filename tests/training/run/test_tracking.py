from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from perfsuite.errors import DataError, UsageError
from perfsuite.training.run.tracking import JsonLinesLogger, MlflowLogger
from perfsuite.training.run.trainer import EpochResult

RESULT = EpochResult(epoch=0, images=10, train_loss=1.5, learning_rate=0.1, val_loss=None, val_accuracy=0.5)


def read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_is_lines_of_json(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "m.jsonl"
    log = JsonLinesLogger(path, {"seed": 42})
    log.on_losses(3, [1.0, 2.0, 3.0])
    log.on_epoch(RESULT)
    told = read(path)
    assert [line["event"] for line in told] == ["settings", "losses", "epoch"]
    assert told[1]["first_step"] == 1
    assert told[2]["val_accuracy"] == 0.5


def test_a_resumed_run_keeps_what_was_logged_and_a_new_one_does_not(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    JsonLinesLogger(path, {"seed": 1})
    JsonLinesLogger(path, {"seed": 1}, resumed=True)
    assert [line["event"] for line in read(path)] == ["settings", "resumed"]
    JsonLinesLogger(path, {"seed": 2})
    assert [line["seed"] for line in read(path)] == [2]


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        JsonLinesLogger(tmp_path / "file" / "m.jsonl", {})


def test_an_absent_mlflow_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UsageError, match=r"perfsuite\[track\]"):
        MlflowLogger("sqlite:///x.db", {})


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # its own
@pytest.mark.slow  # MLflow imports for seconds
def test_where_mlflow_cannot_log_is_named() -> None:
    pytest.importorskip("mlflow", reason="mlflow is not installed (extra: track)")
    with pytest.raises(UsageError, match="nonsense://x cannot be logged to"):
        MlflowLogger("nonsense://x", {})


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # its own
@pytest.mark.slow  # MLflow imports for seconds, and lays out its database
def test_mlflow_gets_settings_losses_figures_and_files(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed (extra: track)")
    uri = f"sqlite:///{tmp_path / 'runs.db'}"
    artifact = tmp_path / "m.pth"
    artifact.write_bytes(b"weights")
    client = mlflow.MlflowClient(tracking_uri=uri)
    client.create_experiment("perfsuite", artifact_location=(tmp_path / "artifacts").as_uri())
    log = MlflowLogger(uri, {"seed": 42}, name="first")
    log.on_losses(2, [1.5, 1.25])
    assert not client.get_metric_history(log.run_id, "loss")  # nothing is written while steps run
    log.on_epoch(RESULT)
    log.finish(artifact, tmp_path / "absent.txt")
    run = client.get_run(log.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["seed"] == "42"
    assert run.data.metrics["val_accuracy"] == 0.5
    assert "val_loss" not in run.data.metrics  # it was not measured
    assert [(one.step, one.value) for one in client.get_metric_history(log.run_id, "loss")] == [
        (1, 1.5),
        (2, 1.25),
    ]
    assert [one.path for one in client.list_artifacts(log.run_id)] == ["m.pth"]
    assert MlflowLogger(uri, {}).run_id != log.run_id  # into the same experiment
