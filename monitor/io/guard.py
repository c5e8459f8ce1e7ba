"""Who may do what over HTTP: foreign origins nothing, readers everything that only reads, token holders the rest."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import msgspec
from fastapi import Request, Response

from monitor.config import LOOPBACK_HOSTS

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """Checks each request. `token` None: changes are allowed from this machine only."""

    def __init__(self, token: str | None, *, loopback_only: bool) -> None:
        self._token = token
        self._loopback_only = loopback_only

    async def check(self, request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        """Pass the request on, or answer 401 or 403 with one sentence."""
        refusal = self._refusal(request)
        if refusal is None:
            return await call_next(request)
        status, sentence = refusal
        return Response(msgspec.json.encode({"detail": sentence}), status_code=status, media_type="application/json")

    def _refusal(self, request: Request) -> tuple[int, str] | None:
        host = request.headers.get("host", "")
        # a page elsewhere whose name was made to resolve to this machine (DNS rebinding) has another Host
        if self._loopback_only and urlsplit(f"//{host}").hostname not in LOOPBACK_HOSTS:
            return 403, f"host {host!r} is not this machine; open the page by its loopback address"
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, f"origin {origin!r} is foreign; only the monitor's own page may ask"
        if request.method in SAFE_METHODS:
            return None
        if self._token is not None:
            given = request.headers.get("authorization", "")
            if not secrets.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
                return 401, "this change needs the token: Authorization: Bearer TOKEN"
        elif request.client is None or request.client.host not in LOOPBACK_HOSTS:
            return 401, "without a token set, changes are allowed from the monitor's own machine only"
        return None
