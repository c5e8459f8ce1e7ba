"""The fake live view behind the page and the /api routes it calls, run by uvicorn in a thread on a free port."""

from __future__ import annotations

import asyncio
import socket
import threading
from urllib.parse import unquote

import msgspec
import numpy as np
import uvicorn
from fake_live import EDGE_EV, ENERGY, LABELS, FakeLive
from fastapi import FastAPI, Request, Response

from dashboard.router import routes
from monitor.core.edges import nearest_edge
from monitor.core.flagging import FlagRule
from monitor.core.views import PixelView


class FakeServer:
    """A running fake: `url`, and `do(change)` to change `live` on the server's own loop."""

    def __init__(self, live: FakeLive, token: str | None = None):
        self.live = live
        self.token = token
        self.port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=self._run, name="fake server")
        self._ready = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def _run(self):
        async def main():
            self._loop = asyncio.get_running_loop()
            self._server = uvicorn.Server(
                uvicorn.Config(
                    fake_app(self.live, self.token), log_level="warning",
                    ws_per_message_deflate=False, timeout_graceful_shutdown=2,
                )
            )  # fmt: skip
            listener = socket.create_server(("127.0.0.1", self.port))
            self.port = listener.getsockname()[1]
            # Connections made from here on wait in the listener's queue until uvicorn takes them.
            self._ready.set()
            await self._server.serve(sockets=[listener])

        asyncio.run(main())

    def start(self):
        self._thread.start()
        assert self._ready.wait(20), "the fake server did not start"
        return self

    def stop(self):
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive(), "the fake server did not stop"

    def restarted(self):
        """The same live view behind the same port, in a new server; call after stop()."""
        again = FakeServer(self.live, self.token)
        again.port = self.port
        return again.start()

    def do(self, change, *args, **kwargs):
        """Call `change` on the server's loop, as the service would, and wait for it."""

        async def run():
            return change(*args, **kwargs)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(20)


def answer(content, status=200):
    return Response(msgspec.json.encode(content), status_code=status, media_type="application/json")


def detail(words, status):
    return answer({"detail": words}, status)


def fake_app(live: FakeLive, token: str | None = None) -> FastAPI:
    app = FastAPI()
    app.include_router(routes(live))

    def lacks_token(request: Request):
        return token is not None and request.headers.get("authorization") != f"Bearer {token}"

    # A scan id may hold a slash, which arrives decoded in the path: hence :path, and the fixed tail.
    @app.get("/api/scans/{scan:path}/pixels/{row}/{column}")
    async def pixel(scan: str, row: int, column: int):
        held = live.scan_of(unquote(scan))
        shown = {name: float(layer[row, column]) for name, layer in held.shown.items()}
        arrived, scored = not np.isnan(shown["total"]), not np.isnan(shown["score"])
        counts, expected = held.spectrum(row, column)
        peak_ev = shown["energy_ev"]
        z = (counts - expected) / np.sqrt(expected)
        return answer(
            PixelView(
                row=row,
                column=column,
                energy_ev=ENERGY.energies_ev().tolist(),
                counts=counts.tolist() if arrived else None,
                expected=expected.tolist() if scored else None,
                residual_z=z.tolist() if scored else None,
                score=shown["score"] if scored else None,
                p_value=shown["p_value"] if scored else None,
                flag=scored and shown["p_value"] <= live.p_threshold(scan),
                energy_peak_ev=shown["energy_ev"] if scored else None,
                kind="shift" if scored else None,
                evidence={"shift": 7.1} if scored else {},
                why=None if scored else "this pixel waits for its neighbours" if arrived else "this pixel is missing",
                label=(LABELS[int(shown["label"])] or None) if scored else None,
                energy_span_ev=(peak_ev - 7, peak_ev + 7) if scored else None,
                amount=-1.2 if scored and abs(peak_ev - EDGE_EV) < 1 else 0.1 if scored else None,
                amount_error=0.2 if scored else None,
                amount_unit="eV" if scored else None,
                edge=nearest_edge(peak_ev) if scored else None,
            )
        )

    @app.post("/api/rescans/{rescan:path}/{verb}")
    async def decide(rescan: str, verb: str, request: Request):
        if lacks_token(request):
            return detail("this change needs the token", 401)
        held = live.rescan_of(rescan)
        if held.state != "proposed":
            return detail(f"the request is {held.state}, only a proposed one can be approved or denied", 409)
        live.move(rescan, {"approve": "approved", "deny": "denied"}[verb])
        return answer(live.rescan_of(rescan))

    @app.post("/api/rescans")
    async def propose(request: Request):
        if lacks_token(request):
            return detail("this change needs the token", 401)
        body = await request.json()
        live.propose("by-hand", body["scan"], tuple(body["region"]), label="")
        return answer(live.rescan_of("by-hand"), 201)

    @app.put("/api/settings/fdr")
    async def fdr(request: Request):
        if lacks_token(request):
            return detail("this change needs the token", 401)
        wanted = await request.json()
        if not 0 < wanted.get("fdr", 0.1) < 0.5:
            return detail(f"got a false discovery rate of {wanted['fdr']:g}, wanted more than 0 and less than 0.5", 422)
        live.rule = FlagRule(**wanted)
        live.changed()
        return answer(wanted)

    return app
