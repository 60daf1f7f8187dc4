from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.data.decoding import decoders, registry
from perfsuite.data.decoding.decoder import Decoder
from perfsuite.data.decoding.registry import DECODERS, available_decoders, get_decoder
from perfsuite.errors import DataError


def test_every_module_of_the_folder_is_a_decoder_of_its_name() -> None:
    modules = {path.stem for path in Path(decoders.__path__[0]).glob("*.py")} - {"__init__"}
    assert set(DECODERS) == {module.rstrip("_") for module in modules}
    assert all(name == decoder.name for name, decoder in DECODERS.items())


def test_pillow_comes_first_and_is_always_available() -> None:
    assert next(iter(DECODERS)) == "pillow"
    assert available_decoders()[0] == "pillow"


def test_an_unknown_decoder_is_an_error_with_the_known_names() -> None:
    with pytest.raises(ValueError, match="'fastest', expected auto or one of pillow"):
        get_decoder("fastest")


@pytest.mark.parametrize("lacks", ["module", "library"])
def test_a_decoder_that_is_not_installed_is_an_error_with_its_extra(
    lacks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = Decoder(
        name="absent",
        decode=get_decoder("pillow"),
        module="no_such_module" if lacks == "module" else "json",
        distribution="absent",
        extra="decoders",
        is_usable=lambda: lacks != "library",
    )
    monkeypatch.setattr(registry, "DECODERS", {"pillow": DECODERS["pillow"], "absent": absent})
    assert available_decoders() == ("pillow",)
    with pytest.raises(DataError, match=r"absent is not installed, expected one of pillow; .*\[decoders\]"):
        get_decoder("absent")
