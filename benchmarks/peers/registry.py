"""All peers by name: every module of this folder that defines PEER. Adding a peer adds one file."""

from __future__ import annotations

import numba  # noqa: F401 - counts the cores at its first import, which must not happen while a test is bound to one

from benchmarks import peers
from benchmarks.peers.base import Peer
from perfsuite.discovery import discover

PEERS = {
    peer.name: peer for peer in sorted(discover(peers, "PEER", Peer).values(), key=lambda peer: peer.name)
}
