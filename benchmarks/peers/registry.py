"""All peers by name: every module of this folder that defines PEER. Adding a peer adds one file."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import numba  # noqa: F401 - counts the cores at its first import, which must not happen while a test is bound to one

from benchmarks import peers
from benchmarks.peers.base import Peer


def find_peers() -> dict[str, Peer]:
    modules = (
        import_module(f"{peers.__name__}.{found.name}") for found in pkgutil.iter_modules(peers.__path__)
    )
    named = (module.PEER for module in modules if hasattr(module, "PEER"))
    return {peer.name: peer for peer in sorted(named, key=lambda peer: peer.name)}


PEERS = find_peers()
