"""CURVE keys as `zmq.auth.create_certificates` writes them: NAME.key (public) and NAME.key_secret (both)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import zmq
import zmq.auth

from monitor.core.errors import ConfigError

KEY_BYTES = 40
"""A key in Z85, https://rfc.zeromq.org/spec/32/."""


class KeyPair(NamedTuple):
    """One side's keys, in Z85."""

    public: bytes
    secret: bytes


def read_public_key(file: Path) -> bytes:
    """The public key of either kind of file; raises ConfigError."""
    return _load(file)[0]


def read_key_pair(file: Path) -> KeyPair:
    """Both keys of a NAME.key_secret; raises ConfigError."""
    public, secret = _load(file)
    if secret is None:
        raise ConfigError(f"key file {file} holds no secret key; wanted the NAME.key_secret that was made with it")
    return KeyPair(public, secret)


def _load(file: Path) -> tuple[bytes, bytes | None]:
    if not zmq.has("curve"):
        raise ConfigError("this ZeroMQ was built without CURVE; install pyzmq from PyPI")
    try:
        public, secret = zmq.auth.load_certificate(file)
    except (OSError, ValueError) as fault:
        raise ConfigError(f"key file {file} cannot be read ({fault}); make keys as docs/sources.md says") from fault
    if any(key is not None and len(key) != KEY_BYTES for key in (public, secret)):
        raise ConfigError(f"key file {file} holds a key that is not of {KEY_BYTES} characters; make it anew")
    return public, secret
