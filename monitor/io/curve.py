"""The monitor's side of CURVE, ZeroMQ's encryption: it knows its source's public key and proves its own.

Specification: https://rfc.zeromq.org/spec/26/. Without keys a socket is left as it is, in the clear.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq

from monitor.files.curve_keys import KeyPair, read_key_pair, read_public_key


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveClient:
    """Keys of a connection to one source: the source's public key and a pair of the monitor's own."""

    source: bytes
    own: KeyPair

    @staticmethod
    def from_files(source: Path, own: Path | None) -> CurveClient:
        """Read the keys; without `own` a new pair, that no list of known monitors holds. Raises ConfigError."""
        public = read_public_key(source)
        return CurveClient(source=public, own=read_key_pair(own) if own is not None else KeyPair(*zmq.curve_keypair()))

    def secure(self, socket: zmq.Socket[Any]) -> None:
        """Have `socket` talk to this source alone, encrypted; call it before `connect`."""
        socket.curve_serverkey = self.source
        socket.curve_publickey, socket.curve_secretkey = self.own
