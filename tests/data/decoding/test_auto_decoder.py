from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from perfsuite.atomic import open_replacing
from perfsuite.data.decoding import auto, registry
from perfsuite.data.decoding.auto import choose_decoder, time_decoders


def slow(data: bytes) -> np.ndarray:
    time.sleep(0.02)
    return np.zeros((1, 1, 3), np.uint8)


def quick(data: bytes) -> np.ndarray:
    return np.zeros((1, 1, 3), np.uint8)


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine with a slow and a quick decoder; where the choice is kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(auto, "available_decoders", lambda: ("slow", "quick"))
    monkeypatch.setitem(registry.DECODERS, "slow", slow)
    monkeypatch.setitem(registry.DECODERS, "quick", quick)
    choose_decoder.cache_clear()
    yield tmp_path / "perfsuite" / "decoders"
    choose_decoder.cache_clear()


def never(names: tuple[str, ...]) -> dict[str, float]:
    pytest.fail("it was timed again")


def test_the_quicker_is_chosen_and_remembered(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert registry.get_decoder("auto") is quick
    (kept,) = two.iterdir()
    assert json.loads(kept.read_text())["fastest"] == "quick"
    choose_decoder.cache_clear()
    monkeypatch.setattr(auto, "time_decoders", never)
    assert choose_decoder() == "quick"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"fastest": "gone"}', '{"fastest": 3}'])
def test_what_is_remembered_wrongly_is_timed_anew(two: Path, text: str) -> None:
    choose_decoder()
    (kept,) = two.iterdir()
    kept.write_text(text)
    choose_decoder.cache_clear()
    assert choose_decoder() == "quick"
    assert json.loads(kept.read_text())["fastest"] == "quick"


def test_nothing_to_remember_in_is_no_error(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two.parent.mkdir()
    two.write_text("a file where a folder should be")
    assert choose_decoder() == "quick"


def test_another_version_is_timed_for_itself(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choose_decoder()
    monkeypatch.setattr(auto, "version", lambda name: "99")
    choose_decoder.cache_clear()
    choose_decoder()
    assert len(list(two.iterdir())) == 2


def test_those_installed_are_all_timed() -> None:
    seconds = time_decoders(registry.available_decoders())
    assert set(seconds) == set(registry.available_decoders())
    assert min(seconds.values()) > 0


def test_a_file_that_was_not_finished_is_not_there(tmp_path: Path) -> None:
    def interrupted() -> None:
        with open_replacing(tmp_path / "a" / "b.bin") as out:
            out.write(b"half")
            raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        interrupted()
    assert not list((tmp_path / "a").iterdir())
