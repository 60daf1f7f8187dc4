from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from perfsuite.errors import UsageError
from perfsuite.training.distributed.ranks import Rank
from tests.training.distributed.test_ddp import alone, told, torchrun

SCRIPT = Path(__file__).with_name("fsdp_script.py")


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two ranks found: started once, since starting is what takes long."""
    out = tmp_path_factory.mktemp("ends")
    torchrun(2, str(SCRIPT), str(out))
    return told(out, 2)


def test_parts_learn_what_whole_parameters_learn(ends: list[dict[str, Any]]) -> None:
    first = ends[0]  # whose running statistics are everyone's
    for preset, farthest in first["from_plain"].items():
        assert farthest < (2e-2 if preset == "bf16" else 1e-4), preset
    assert max(first["from_eager"].values()) < 1e-4
    assert first["other_seed"] > 1e-2  # what a difference looks like


def test_each_rank_keeps_about_half(ends: list[dict[str, Any]]) -> None:
    assert sum(end["kept"] for end in ends) == ends[0]["all"]
    assert all(end["kept"] < 0.6 * end["all"] for end in ends)


def test_a_killed_run_goes_on_alike_sharded_or_not(ends: list[dict[str, Any]]) -> None:
    for end in ends:
        assert end["steps_done"] == 7
        assert end["resumed_sharded"] == 0
        assert end["momentum_shape"] == [32, 3, 3, 3]  # whole in the file
    assert ends[0]["resumed_plain"] < 1e-4


def test_ranks_with_other_numbers_of_batches_evaluate_all(ends: list[dict[str, Any]]) -> None:
    assert [end["looked_at"] for end in ends] == [24, 24]


def test_a_bad_loss_of_one_rank_is_skipped_by_all(ends: list[dict[str, Any]]) -> None:
    assert [end["skipped"] for end in ends] == [[1, True], [1, True]]


def test_what_was_not_seen_to_agree_is_refused(ends: list[dict[str, Any]]) -> None:
    for end in ends:
        for name, message in zip(("fp16", "compile_mode", "fused"), end["refused"], strict=True):
            assert f"fsdp: {name} with sharded parameters" in message
        assert "already in DistributedDataParallel" in end["too_late"]


@pytest.mark.slow
def test_steps_of_parts_are_those_of_the_whole_batch(tmp_path: Path) -> None:
    torchrun(2, str(Path(__file__).with_name("ddp_script.py")), "shards-accumulates", str(tmp_path))
    for rank in told(tmp_path, 2):
        assert torch.allclose(torch.tensor(rank["weights"]), alone(), rtol=1e-5, atol=1e-6)
        assert rank["kept"] < len(rank["weights"])


def test_one_process_has_nobody_to_share_with() -> None:
    with pytest.raises(UsageError, match=r"there is one process, expected several.*torchrun"):
        _ = Rank(0, 1, torch.device("cpu")).wrap_fsdp
