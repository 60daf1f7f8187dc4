from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from perfsuite.cli import main
from perfsuite.errors import PerfsuiteError, UsageError
from perfsuite.training.distributed.ranks import COLLECTIVE_TIMEOUT, Rank, rank_from_torchrun
from perfsuite.training.distributed.torchrun import kill_ranks, run_ranks, start_ranks
from perfsuite.training.models import make_model
from perfsuite.training.step.step import TrainingStep
from tests.training.tiny_models import batch_of, linear_model

CPU = torch.device("cpu")
SCRIPT = Path(__file__).with_name("ddp_script.py")
WITHIN_SECONDS = 30  # of a rank's death; starting the processes comes on top
STARTING_SECONDS = 120
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPT.parents[3])}


def torchrun(ranks: int, *words: str) -> str:
    return run_ranks(ranks, words, STARTING_SECONDS + WITHIN_SECONDS, ENVIRONMENT)


def told(out: Path, ranks: int) -> list[dict[str, Any]]:
    return [json.loads((out / f"{rank}.json").read_text()) for rank in range(ranks)]


def alone() -> torch.Tensor:
    model = linear_model()
    step = TrainingStep(model, torch.optim.SGD(model.parameters(), lr=0.1))
    for _ in range(3):
        step(*batch_of(16))
    return torch.cat([one.detach().flatten() for one in model.parameters()])


@pytest.mark.parametrize(
    ("task", "ranks"),
    [
        ("accumulates", 2),
        pytest.param("steps", 2, marks=pytest.mark.slow),
        pytest.param("accumulates", 4, marks=pytest.mark.slow),
    ],
)
def test_ranks_learn_what_one_process_learns_of_the_whole_batch(
    task: str, ranks: int, tmp_path: Path
) -> None:
    torchrun(ranks, str(SCRIPT), task, str(tmp_path))
    for rank in told(tmp_path, ranks):
        assert torch.allclose(torch.tensor(rank["weights"]), alone(), rtol=1e-5, atol=1e-6)
        assert rank["all_reduces"] == 3  # one bucket a step, whatever is accumulated
        assert rank["bytes"] == 3 * len(rank["weights"]) * 4
        assert rank["kept"] == len(rank["weights"])


@pytest.mark.parametrize(
    ("task", "reason", "patience"),
    [
        ("dies", "planted: this rank has had enough", 0.0),
        pytest.param("killed", "SIGKILL", 0.0, marks=pytest.mark.slow),
        # The others give it up after their patience, and say what they waited for.
        pytest.param(
            "hangs", "Timed out waiting", COLLECTIVE_TIMEOUT.total_seconds(), marks=pytest.mark.slow
        ),
    ],
)
def test_a_rank_that_dies_ends_the_others_with_its_reason(
    task: str, reason: str, patience: float, tmp_path: Path
) -> None:
    with start_ranks(2, [str(SCRIPT), task, str(tmp_path)], ENVIRONMENT) as process:
        try:
            _until((tmp_path / "dying").exists, STARTING_SECONDS)
            _, said = process.communicate(timeout=patience + WITHIN_SECONDS)
        finally:
            kill_ranks(process)
    assert process.returncode != 0
    assert reason in said
    assert [path.name for path in tmp_path.iterdir()] == ["dying"]


def _until(is_so: Callable[[], bool], within_seconds: float) -> None:
    deadline = time.monotonic() + within_seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_ranks_that_do_not_end_are_killed_all(tmp_path: Path) -> None:
    script = tmp_path / "sleeps.py"
    script.write_text("import os, sys, time\nopen(sys.argv[1] + os.environ['RANK'], 'w')\ntime.sleep(600)\n")
    with pytest.raises(PerfsuiteError, match=r"has not ended after 0.1 s; its 2 ranks were killed"):
        run_ranks(2, [str(script), str(tmp_path / "rank")], 0.1, ENVIRONMENT)


def test_the_reason_of_ranks_that_fail_is_raised(tmp_path: Path) -> None:
    script = tmp_path / "fails.py"
    script.write_text("raise RuntimeError('planted: no')\n")
    with pytest.raises(PerfsuiteError, match=r"on 1 ranks: exit 1, expected 0(?s:.*)planted: no"):
        torchrun(1, str(script))


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert rank_from_torchrun("cpu") == Rank(0, 1, CPU)


def test_half_an_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(UsageError, match=r"WORLD_SIZE is 2 but RANK.*start with torchrun"):
        rank_from_torchrun("cpu")


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_no_rank_gets_more_than_another(count: int, world_size: int) -> None:
    ranks = [Rank(index, world_size, CPU) for index in range(world_size)]
    rows = [rank.select_rows(torch.arange(count))[0].tolist() for rank in ranks]
    assert {len(share) for share in rows} == {count // world_size}
    everything = [row for share in rows for row in share]
    assert len(everything) == len(set(everything))


def test_scaling_is_measured_by_ranks_in_turns(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["--seconds", "0.5", "--image-size", "16", "--batch-size", "4", "--device", "cpu"]
    assert main(["scaling", "--nproc-per-node", "2", *words, "--json", str(tmp_path / "scaling.json")]) == 0
    assert capfd.readouterr().out.count("2 ranks:") == 1  # the first alone speaks
    found = json.loads((tmp_path / "scaling.json").read_text())
    weights = sum(one.numel() for one in make_model("small", 10).parameters())
    assert found["all_reduces"] >= 1  # one for each bucket of DDP
    assert found["all_reduced_bytes"] == 4 * weights
    assert found["blocks"] >= 9
    assert 0 < found["efficiency"]["low"] <= found["efficiency"]["high"]


def test_scaling_of_one_process_says_how_to_start_several(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scaling", "--device", "cpu"]) == 2
    assert "torchrun --nproc-per-node 2" in capsys.readouterr().err
