from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
import torch

from perfsuite.transforms import normalize, recycled

SIZE = 5 << 20


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    recycled.forget()
    yield
    recycled.forget()


def test_memory_that_nobody_holds_is_handed_out_again() -> None:
    first = recycled.memory(SIZE)
    address = first.data_ptr()
    del first
    assert recycled.memory(SIZE).data_ptr() == address


@pytest.mark.parametrize(
    "view",
    [
        lambda whole: whole[10:20],
        lambda whole: whole.view(torch.float32).as_strided((2, 2), (2, 1)),
        lambda whole: whole.numpy(),
        lambda whole: whole.detach(),
        lambda whole: whole.untyped_storage(),
    ],
)
def test_memory_that_any_view_holds_is_not(view: object) -> None:
    whole = recycled.memory(SIZE)
    address = whole.data_ptr()
    held = view(whole)  # type: ignore[operator]
    del whole
    gc.collect()
    assert recycled.kept_bytes() == 0
    assert recycled.memory(SIZE).data_ptr() != address
    del held


def test_memory_of_another_size_is_not_mixed_up() -> None:
    del_me = recycled.memory(SIZE)
    del del_me
    assert len(recycled.memory(SIZE + 4)) == SIZE + 4


def test_what_is_kept_is_bounded() -> None:
    held = [recycled.memory(60 << 20) for _ in range(6)]
    held.clear()
    assert recycled.kept_bytes() <= recycled.MOST_BYTES_KEPT
    huge = recycled.memory(recycled.MOST_BYTES_EACH + 1)
    recycled.forget()
    del huge
    assert recycled.kept_bytes() == 0


def test_answers_held_together_do_not_overwrite_each_other() -> None:
    pictures = [torch.full((1, 3, 720, 1280), value, dtype=torch.uint8) for value in range(5)]
    answers = [normalize(one, mean=(0.0,) * 3, std=(1.0,) * 3) for one in pictures]
    for value, answer in enumerate(answers):
        torch.testing.assert_close(answer, torch.full_like(answer, value / 255))


def test_a_recycled_output_has_no_trace_of_the_one_before() -> None:
    for value in (255, 0, 7):
        answer = normalize(
            torch.full((1, 3, 720, 1280), value, dtype=torch.uint8), mean=(0.5,) * 3, std=(0.25,) * 3
        )
        assert answer.unique().numel() == 1
        del answer
