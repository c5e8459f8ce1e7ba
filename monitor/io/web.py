"""The web server: an address taken before anything else starts, and a uvicorn that leaves signals alone."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from monitor.core.errors import ConfigError

GRACE_S = 2


class WebServer(uvicorn.Server):
    """Serves `app` on a socket that is bound already. End it by setting `should_exit`."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                lifespan="off",
                ws="websockets-sansio",
                timeout_graceful_shutdown=GRACE_S,
                ws_per_message_deflate=False,
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none: one place, the command, decides how everything ends."""
        yield


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; raises ConfigError where the address is taken or none."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        # on Windows SO_REUSEADDR would share a port in use
        option = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
        listener.setsockopt(socket.SOL_SOCKET, option, 1)
        listener.bind((host, port))
    except OSError as fault:
        listener.close()
        raise ConfigError(
            f"http address {host}:{port} cannot be used ({fault.strerror or fault}); port 0 finds a free one"
        ) from fault
    return listener


def url_of(listener: socket.socket) -> str:
    """The address as a browser wants it."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"
