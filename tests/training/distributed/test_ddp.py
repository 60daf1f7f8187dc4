from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from perfsuite.advise.confidence import MIN_BLOCKS
from perfsuite.cli import main
from perfsuite.errors import PerfsuiteError, UsageError
from perfsuite.training.distributed.ranks import COLLECTIVE_TIMEOUT, Rank, rank_from_torchrun
from perfsuite.training.distributed.torchrun import kill_ranks, run_ranks, start_ranks
from perfsuite.training.models import make_model
from perfsuite.training.step.step import TrainingStep
from tests.training.tiny_models import linear_model, random_batch

CPU = torch.device("cpu")
SCRIPT = Path(__file__).with_name("ddp_script.py")
END_SECONDS = 30  # from a rank's death to the end of all
START_SECONDS = 120  # from the start of torchrun to the first step
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPT.parents[3])}


def torchrun(ranks: int, *words: str) -> str:
    return run_ranks(ranks, words, START_SECONDS + END_SECONDS, ENVIRONMENT)


def read_results(out: Path, ranks: int) -> list[dict[str, Any]]:
    return [json.loads((out / f"{rank}.json").read_text()) for rank in range(ranks)]


def single_process_weights() -> torch.Tensor:
    model = linear_model()
    step = TrainingStep(model, torch.optim.SGD(model.parameters(), lr=0.1))
    for _ in range(3):
        step(*random_batch(16))
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.parametrize(
    ("task", "ranks"),
    [
        ("accumulates", 2),
        pytest.param("steps", 2, marks=pytest.mark.slow),
        pytest.param("accumulates", 4, marks=pytest.mark.slow),
    ],
)
def test_ranks_learn_what_one_process_learns_from_the_whole_batch(
    task: str, ranks: int, tmp_path: Path
) -> None:
    torchrun(ranks, str(SCRIPT), task, str(tmp_path))
    for rank in read_results(tmp_path, ranks):
        assert torch.allclose(torch.tensor(rank["weights"]), single_process_weights(), rtol=1e-5, atol=1e-6)
        assert rank["all_reduces"] == 3  # one bucket per step, also with accumulation
        assert rank["bytes"] == 3 * len(rank["weights"]) * 4
        assert rank["local_parameters"] == len(rank["weights"])


@pytest.mark.parametrize(
    ("task", "reason", "timeout_seconds"),
    [
        ("dies", "planted: this rank fails", 0.0),
        pytest.param("killed", "SIGKILL", 0.0, marks=pytest.mark.slow),
        # The other ranks fail after the collective's timeout, and name what they waited for.
        pytest.param(
            "hangs", "Timed out waiting", COLLECTIVE_TIMEOUT.total_seconds(), marks=pytest.mark.slow
        ),
    ],
)
def test_a_rank_that_dies_ends_the_others_with_its_reason(
    task: str, reason: str, timeout_seconds: float, tmp_path: Path
) -> None:
    with start_ranks(2, [str(SCRIPT), task, str(tmp_path)], ENVIRONMENT) as process:
        try:
            _wait_until((tmp_path / "dying").exists, START_SECONDS)
            _, stderr = process.communicate(timeout=timeout_seconds + END_SECONDS)
        finally:
            kill_ranks(process)
    assert process.returncode != 0
    assert reason in stderr
    assert [path.name for path in tmp_path.iterdir()] == ["dying"]


def _wait_until(condition: Callable[[], bool], within_seconds: float) -> None:
    deadline = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_all_ranks_are_killed_after_the_time_limit(tmp_path: Path) -> None:
    script = tmp_path / "sleeps.py"
    script.write_text("import time\ntime.sleep(600)\n")
    with pytest.raises(PerfsuiteError, match=r"has not ended after 0.1 s; its 2 ranks were killed"):
        run_ranks(2, [str(script)], 0.1, ENVIRONMENT)


def test_killed_ranks_are_gone(tmp_path: Path) -> None:
    script = tmp_path / "sleeps.py"
    script.write_text(
        "import os, sys, time\nfrom pathlib import Path\n"
        "(Path(sys.argv[1]) / f'{os.getpid()}.pid').touch()\ntime.sleep(600)\n"
    )
    with start_ranks(2, [str(script), str(tmp_path)], ENVIRONMENT) as process:
        try:
            _wait_until(lambda: len(list(tmp_path.glob("*.pid"))) == 2, START_SECONDS)
        finally:
            kill_ranks(process)
    ranks = [int(path.stem) for path in tmp_path.glob("*.pid")]
    _wait_until(lambda: not any(map(_is_running, ranks)), END_SECONDS)


def _is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_the_error_of_a_failed_rank_is_raised(tmp_path: Path) -> None:
    script = tmp_path / "fails.py"
    script.write_text("raise RuntimeError('planted: no')\n")
    with pytest.raises(PerfsuiteError, match=r"on 1 ranks: exit 1, expected 0(?s:.*)planted: no"):
        torchrun(1, str(script))


def test_without_torchrun_there_is_a_single_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert rank_from_torchrun("cpu") == Rank(0, 1, CPU)


def test_an_incomplete_torchrun_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(UsageError, match=r"WORLD_SIZE is 2 but RANK.*start with torchrun"):
        rank_from_torchrun("cpu")


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_every_rank_gets_the_same_number_of_rows(count: int, world_size: int) -> None:
    ranks = [Rank(index, world_size, CPU) for index in range(world_size)]
    rows = [rank.select_rows(torch.arange(count))[0].tolist() for rank in ranks]
    assert {len(rank_rows) for rank_rows in rows} == {count // world_size}
    all_rows = [row for rank_rows in rows for row in rank_rows]
    assert len(all_rows) == len(set(all_rows))


def test_scaling_measures_ranks_in_turns(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["--seconds", "0.5", "--image-size", "16", "--batch-size", "4", "--device", "cpu"]
    assert main(["scaling", "--nproc-per-node", "2", *words, "--json", str(tmp_path / "scaling.json")]) == 0
    assert capfd.readouterr().out.count("2 ranks:") == 1  # only the first rank prints
    result = json.loads((tmp_path / "scaling.json").read_text())
    weights = sum(parameter.numel() for parameter in make_model("small", 10).parameters())
    assert result["all_reduces"] >= 1  # one per bucket of DDP
    assert result["all_reduced_bytes"] == 4 * weights
    assert result["blocks"] >= MIN_BLOCKS
    assert 0 < result["efficiency"]["low"] <= result["efficiency"]["high"]


def test_scaling_with_one_process_names_the_command_for_several(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scaling", "--device", "cpu"]) == 2
    assert "torchrun --nproc-per-node 2" in capsys.readouterr().err
