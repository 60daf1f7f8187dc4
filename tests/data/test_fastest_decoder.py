from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from perfsuite.data import decode, fastest_decoder
from perfsuite.data.fastest_decoder import fastest, timed
from perfsuite.data.whole_file import whole_file


def slow(data: bytes) -> np.ndarray:
    time.sleep(0.02)
    return np.zeros((1, 1, 3), np.uint8)


def quick(data: bytes) -> np.ndarray:
    return np.zeros((1, 1, 3), np.uint8)


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine with a slow and a quick decoder; where the choice is kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(fastest_decoder, "available", lambda: ("slow", "quick"))
    monkeypatch.setitem(decode.DECODERS, "slow", slow)
    monkeypatch.setitem(decode.DECODERS, "quick", quick)
    fastest.cache_clear()
    yield tmp_path / "perfsuite" / "decoders"
    fastest.cache_clear()


def never(names: tuple[str, ...]) -> dict[str, float]:
    pytest.fail("it was timed again")


def test_the_quicker_is_chosen_and_remembered(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert decode.decoder("auto") is quick
    (kept,) = two.iterdir()
    assert json.loads(kept.read_text())["fastest"] == "quick"
    fastest.cache_clear()
    monkeypatch.setattr(fastest_decoder, "timed", never)
    assert fastest() == "quick"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"fastest": "gone"}', '{"fastest": 3}'])
def test_what_is_remembered_wrongly_is_timed_anew(two: Path, text: str) -> None:
    fastest()
    (kept,) = two.iterdir()
    kept.write_text(text)
    fastest.cache_clear()
    assert fastest() == "quick"
    assert json.loads(kept.read_text())["fastest"] == "quick"


def test_nothing_to_remember_in_is_no_error(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two.parent.mkdir()
    two.write_text("a file where a folder should be")
    assert fastest() == "quick"


def test_another_version_is_timed_for_itself(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fastest()
    monkeypatch.setattr(fastest_decoder, "version", lambda name: "99")
    fastest.cache_clear()
    fastest()
    assert len(list(two.iterdir())) == 2


def test_those_installed_are_all_timed() -> None:
    seconds = timed(decode.available())
    assert set(seconds) == set(decode.available())
    assert min(seconds.values()) > 0


def test_a_file_that_was_not_finished_is_not_there(tmp_path: Path) -> None:
    def interrupted() -> None:
        with whole_file(tmp_path / "a" / "b.bin") as out:
            out.write(b"half")
            raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        interrupted()
    assert not list((tmp_path / "a").iterdir())
