"""All decoders, by name: one module of perfsuite.data.decoding.decoders for each.

To add one, add a module with a `DECODER` there.
"""

from __future__ import annotations

from perfsuite.data.decoding import decoders
from perfsuite.data.decoding.auto import choose_decoder
from perfsuite.data.decoding.decoder import DecodeFunction, Decoder
from perfsuite.discovery import discover
from perfsuite.errors import DataError


def _load_decoders() -> dict[str, Decoder]:
    """Sort by name, with Pillow, the reference, first."""
    entries = discover(decoders, "DECODER", Decoder).values()
    return {each.name: each for each in sorted(entries, key=lambda each: (each.name != "pillow", each.name))}


DECODERS = _load_decoders()


def available_decoders() -> tuple[str, ...]:
    """The decoders whose library is installed, Pillow first."""
    return tuple(decoder.name for decoder in DECODERS.values() if decoder.is_installed)


def check_decoder_name(name: str) -> None:
    if name not in ("auto", *DECODERS):
        raise ValueError(f"decoder: {name!r}, expected auto or one of {', '.join(DECODERS)}")


def get_decoder(name: str = "auto") -> DecodeFunction:
    """The decoder of that name; `auto` is the fastest one on this machine (perfsuite.data.decoding.auto).

    >>> get_decoder("pillow") is DECODERS["pillow"].decode
    True
    """
    if name == "auto":
        return choose_decoder(tuple(DECODERS[installed] for installed in available_decoders())).decode
    check_decoder_name(name)
    decoder = DECODERS[name]
    if not decoder.is_installed:
        raise DataError(
            f"decoder: {name} is not installed, expected one of {', '.join(available_decoders())}; "
            f"pip install 'perfsuite[{decoder.extra}]'"
        )
    return decoder.decode
