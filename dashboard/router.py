"""The page's routes: GET /, GET /static/..., WS /ws. All a browser needs comes from here, nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path

from bokeh.settings import settings
from fastapi import APIRouter, Request, Response, WebSocket
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from dashboard.feed import PageFeed
from dashboard.looks import Looks
from dashboard.page import page_html
from monitor.core.live_view import LiveView

OWN_FILES = Path(__file__).parent / "static"
BOKEH_FILES = ("bokeh.min.js",)
# BokehJS makes <style> elements in its shadow roots and draws tool icons from data: URIs; it needs nothing else.
SAFE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def routes(live: LiveView) -> APIRouter:
    """The routes of the operator's page over `live`; include them in the application that serves /api."""
    router = APIRouter(include_in_schema=False)
    own = StaticFiles(directory=OWN_FILES)
    looks = Looks(live)
    bokeh = StaticFiles(directory=Path(settings.bokehjs_path()) / "js")

    @router.get("/")
    def page() -> HTMLResponse:
        return HTMLResponse(page_html(), headers=SAFE_HEADERS)

    @router.get("/static/bokeh/{name}")
    async def bokeh_file(name: str, request: Request) -> Response:
        if name not in BOKEH_FILES:
            return Response(status_code=404)
        return _safe(await bokeh.get_response(name, request.scope))

    @router.get("/static/{name}")
    async def own_file(name: str, request: Request) -> Response:
        return _safe(await own.get_response(name, request.scope))

    @router.websocket("/ws")
    async def feed(websocket: WebSocket) -> None:
        await PageFeed(looks, websocket).run()

    return router


def _safe(response: Response) -> Response:
    response.headers.update(SAFE_HEADERS)
    return response
