"""Who may do what: foreign origins nothing, anyone else what only reads, holders of the token the rest."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.config import LOOPBACK_HOSTS

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """`token` None: changes are allowed from this machine only. `loopback_only`: the server is bound to loopback."""

    token: str | None
    loopback_only: bool


class Guard:
    """ASGI middleware that answers 401 or 403 with one sentence where the rules say no."""

    def __init__(self, app: ASGIApp, *, rules: Rules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it; a websocket is refused before it is accepted."""
        refusal = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal[1]})
        else:
            status, sentence = refusal
            body = msgspec.json.encode({"detail": sentence})
            await Response(body, status_code=status, media_type="application/json")(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        # a page elsewhere whose name was made to resolve to this machine (DNS rebinding) has another Host
        if self._rules.loopback_only and _parts(f"//{host}")[0] not in LOOPBACK_HOSTS:
            return 403, f"host {host!r} is not this machine; open the page by its loopback address"
        if origin is not None and _parts(origin)[1] != host:
            return 403, f"origin {origin!r} is foreign; only the monitor's own page may ask"
        if scope["type"] == "websocket" or scope["method"] in SAFE_METHODS:
            return None
        if self._rules.token is not None:
            given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
            if not secrets.compare_digest(given, b"Bearer " + self._rules.token.encode()):
                return 401, "this change needs the token: Authorization: Bearer TOKEN"
        elif scope.get("client") is None or scope["client"][0] not in LOOPBACK_HOSTS:
            return 401, "without a token set, changes are allowed from the monitor's own machine only"
        return None


def _parts(url: str) -> tuple[str | None, str]:
    """Host name and network location; nothing where the text is no address."""
    try:
        parts = urlsplit(url)
        return parts.hostname, parts.netloc
    except ValueError:
        return None, ""
