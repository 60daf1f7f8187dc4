from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from perfsuite.errors import UsageError
from perfsuite.training.distributed.ranks import Rank
from tests.training.distributed.test_ddp import read_results, single_process_weights, torchrun

SCRIPT = Path(__file__).with_name("fsdp_script.py")
Results = list[dict[str, Any]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The results of two ranks; one run for all tests, because starting the ranks takes longest."""
    out = tmp_path_factory.mktemp("results")
    torchrun(2, str(SCRIPT), str(out))
    return read_results(out, 2)


def test_sharded_parameters_learn_what_whole_ones_learn(results: Results) -> None:
    first = results[0]  # the rank whose running statistics are saved
    for preset, difference in first["sharded_vs_whole"].items():
        assert difference < (2e-2 if preset == "bf16" else 1e-4), preset
    assert max(first["preset_vs_eager"].values()) < 1e-9
    assert first["other_seed_difference"] > 1e-2  # the negative control


def test_each_rank_holds_about_half_of_the_parameters(results: Results) -> None:
    assert sum(result["local_parameters"] for result in results) == results[0]["all_parameters"]
    assert all(result["local_parameters"] < 0.6 * result["all_parameters"] for result in results)


def test_a_killed_run_resumes_sharded_or_whole(results: Results) -> None:
    for result in results:
        assert result["steps_done"] == 7
        assert result["resumed_sharded_difference"] == 0
        assert result["momentum_shape"] == [32, 3, 3, 3]  # whole in the file
    assert results[0]["resumed_whole_difference"] < 1e-4


def test_ranks_with_different_numbers_of_batches_evaluate_all(results: Results) -> None:
    assert [result["evaluated_images"] for result in results] == [24, 24]


def test_a_bad_loss_on_one_rank_is_skipped_by_all(results: Results) -> None:
    assert [result["skipped"] for result in results] == [[1, True], [1, True]]


def test_bad_gradients_on_one_rank_are_skipped_by_all(results: Results) -> None:
    for result in results:
        assert result["skipped_gradients"] == [[2, 0, True]] * 2  # replicated and sharded


def test_unsupported_presets_are_refused(results: Results) -> None:
    for result in results:
        for name, message in zip(("fp16", "compile_mode", "fused"), result["refusals"], strict=True):
            assert f"fsdp: {name} with sharded parameters" in message
        assert "already in DistributedDataParallel" in result["layout_refusal"]


@pytest.mark.slow
def test_steps_of_sharded_parameters_equal_those_of_the_whole_batch(tmp_path: Path) -> None:
    torchrun(2, str(Path(__file__).with_name("ddp_script.py")), "sharded-accumulates", str(tmp_path))
    for rank in read_results(tmp_path, 2):
        assert torch.allclose(torch.tensor(rank["weights"]), single_process_weights(), rtol=1e-5, atol=1e-6)
        assert rank["local_parameters"] < len(rank["weights"])


def test_one_process_cannot_shard() -> None:
    with pytest.raises(UsageError, match=r"there is one process, expected several.*torchrun"):
        Rank(0, 1, torch.device("cpu")).wrap_fsdp(nn.Linear(1, 1))
