"""`auto` chooses the fastest decoder and stores the choice. A fake timer stands in for the clock."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from perfsuite.data.decoding import auto, registry
from perfsuite.data.decoding.auto import choose_decoder, time_decoders
from perfsuite.data.decoding.decoder import Decoder, Pixels


class FakeClock:
    """A timer that advances only while a decoder of `decoder` runs."""

    def __init__(self) -> None:
        self.now = 0.0
        self.readings = 0

    def __call__(self) -> float:
        self.readings += 1
        return self.now

    def decoder(self, name: str, seconds: float) -> Decoder:
        def decode(data: bytes) -> Pixels:
            self.now += seconds
            return np.zeros((1, 1, 3), np.uint8)

        return Decoder(name=name, decode=decode, module="json", distribution=name, extra="vision")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def candidates(clock: FakeClock) -> tuple[Decoder, Decoder]:
    return clock.decoder("slow", 0.02), clock.decoder("quick", 0.01)


@pytest.fixture
def choices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which choices are stored."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    choose_decoder.cache_clear()
    yield tmp_path / "perfsuite" / "decoders"
    choose_decoder.cache_clear()


def test_the_fastest_decoder_is_chosen_and_the_choice_stored(
    choices: Path, clock: FakeClock, candidates: tuple[Decoder, Decoder]
) -> None:
    assert choose_decoder(candidates, clock).name == "quick"
    (file,) = choices.iterdir()
    stored = json.loads(file.read_text())
    assert stored["fastest"] == "quick"
    assert stored["seconds_per_image"] == pytest.approx({"slow": 0.02, "quick": 0.01})
    choose_decoder.cache_clear()
    readings = clock.readings
    assert choose_decoder(candidates, clock).name == "quick"
    assert clock.readings == readings


def test_the_registry_uses_the_chosen_decoder(
    choices: Path, candidates: tuple[Decoder, Decoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "DECODERS", {decoder.name: decoder for decoder in candidates})
    monkeypatch.setattr(registry, "choose_decoder", lambda installed: installed[1])
    assert registry.get_decoder("auto") is candidates[1].decode


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"fastest": "gone"}', '{"fastest": 3}'])
def test_a_damaged_choice_is_timed_again(
    choices: Path, clock: FakeClock, candidates: tuple[Decoder, Decoder], text: str
) -> None:
    choose_decoder(candidates, clock)
    (file,) = choices.iterdir()
    file.write_text(text)
    choose_decoder.cache_clear()
    assert choose_decoder(candidates, clock).name == "quick"
    assert json.loads(file.read_text())["fastest"] == "quick"


def test_a_choice_that_cannot_be_stored_is_no_error(
    choices: Path, clock: FakeClock, candidates: tuple[Decoder, Decoder]
) -> None:
    choices.parent.mkdir()
    choices.write_text("a file where a folder should be")
    assert choose_decoder(candidates, clock).name == "quick"


def test_another_version_is_timed_separately(
    choices: Path,
    clock: FakeClock,
    candidates: tuple[Decoder, Decoder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    choose_decoder(candidates, clock)
    monkeypatch.setattr(auto, "version", lambda name: "99")
    choose_decoder.cache_clear()
    choose_decoder(candidates, clock)
    assert len(list(choices.iterdir())) == 2


def test_all_installed_decoders_are_timed() -> None:
    installed = [registry.DECODERS[name] for name in registry.available_decoders()]
    seconds = time_decoders(installed)
    assert set(seconds) == set(registry.available_decoders())
    assert min(seconds.values()) > 0
