"""The HTTP interface under /api and /metrics. Who may change what: see `guard`."""

from __future__ import annotations

import asyncio
import io
import re
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

import msgspec
import numpy as np
from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException as StarletteHTTPException

from monitor.core.axes import Region
from monitor.core.errors import RescanError, UsageError
from monitor.core.flagging import FlagRule
from monitor.core.scan import Scan
from monitor.core.views import PixelView
from monitor.io.guard import Guard, Rules
from monitor.io.live import Live
from monitor.io.metrics import metrics_text

_PIXEL = re.compile("[0-9]{1,9}")


class RescanProposal(BaseModel, extra="ignore", strict=True):
    """Body of POST /api/rescans; region is [row0, col0, row1, col1], half-open."""

    scan: str
    region: tuple[int, int, int, int] = Field(strict=False)
    dwell_factor: float = Field(default=4.0, gt=0, le=1000)


class FdrSetting(BaseModel, extra="ignore", strict=True):
    """Body of PUT /api/settings/fdr: one of the two."""

    fdr: float | None = Field(default=None, gt=0, lt=1)
    false_flags: float | None = Field(default=None, gt=0, allow_inf_nan=False)


def create_app(live: Live, *, rules: Rules, pages: Iterable[APIRouter]) -> FastAPI:
    """The web application: the API and the pages given."""
    app = FastAPI(title="eelswatch", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, rules=rules)
    app.add_exception_handler(Exception, _defect)
    app.add_exception_handler(RequestValidationError, _one_sentence)
    app.add_exception_handler(StarletteHTTPException, _detail)
    app.add_exception_handler(404, _detail)
    app.include_router(_reading(live))
    app.include_router(_changing(live))
    for page in pages:
        app.include_router(page)
    return app


def _reading(live: Live) -> APIRouter:
    api = APIRouter()

    @api.get("/api/health")
    async def health() -> Response:
        view = live.health()
        return _json(view, status=200 if view.status == "ok" else 503)

    @api.get("/api/scans")
    async def scans() -> Response:
        return _json({"scans": live.scans()})

    @api.get("/api/scans/{rest:path}")
    async def of_scan(request: Request) -> Response:
        # ids may hold any printable text, slashes too: split the path as it was sent, then decode
        raw = request.scope["raw_path"].decode("ascii").removeprefix("/api/scans/")
        scan_id, *rest = [unquote(part) for part in raw.split("/")]
        scan = _scan(live, scan_id)
        match rest:
            case []:
                return _json(scan.view())
            case ["maps.npz"]:
                return Response(await _npz(live, scan), media_type="application/octet-stream")
            case ["regions"]:
                return _json({"regions": live.regions(scan_id)})
            case ["pixels", row, column] if _PIXEL.fullmatch(row) and _PIXEL.fullmatch(column):
                return _json(_pixel(live, scan, int(row), int(column)))
        raise HTTPException(
            404, f"there is no {'/'.join(rest)!r} of a scan; wanted maps.npz, regions or pixels/ROW/COLUMN"
        )

    @api.get("/api/rescans")
    async def rescans() -> Response:
        return _json({"rescans": live.desk.requests})

    @api.get("/metrics")
    async def metrics() -> Response:
        return Response(metrics_text(live), media_type="text/plain; version=0.0.4; charset=utf-8")

    return api


def _changing(live: Live) -> APIRouter:
    api = APIRouter()

    @api.post("/api/rescans")
    async def propose(body: RescanProposal) -> Response:
        scan = _scan(live, body.scan)
        row0, col0, row1, col1 = body.region
        try:
            region = Region(row0=row0, col0=col0, row1=row1, col1=col1)
            request = live.desk.propose_by_hand(scan, region, dwell_factor=body.dwell_factor, now_ns=time.time_ns())
        except RescanError as fault:
            raise HTTPException(422, str(fault)) from fault
        return _json(request, status=201)

    @api.post("/api/rescans/{rescan_id}/{verb}")
    async def decide(rescan_id: str, verb: str) -> Response:
        state = {"approve": "approved", "deny": "denied"}.get(verb)
        if state is None:
            raise HTTPException(404, f"there is no action {verb!r}; wanted approve or deny")
        try:
            live.desk.get(rescan_id)
        except RescanError as fault:
            raise HTTPException(404, str(fault)) from fault
        try:
            live.desk.decide(rescan_id, state, who="operator", now_ns=time.time_ns())
        except RescanError as fault:
            raise HTTPException(409, str(fault)) from fault
        await live.send_waiting()
        return _json(live.desk.get(rescan_id))

    @api.put("/api/settings/fdr")
    async def set_fdr(body: FdrSetting) -> Response:
        try:
            live.set_rule(FlagRule(fdr=body.fdr, false_flags=body.false_flags))
        except UsageError as fault:
            raise HTTPException(422, str(fault)) from fault
        return _json({"fdr": body.fdr} if body.fdr is not None else {"false_flags": body.false_flags})

    return api


def _scan(live: Live, scan_id: str) -> Scan:
    scan = live.session.find(scan_id)
    if scan is None:
        raise HTTPException(404, f"there is no scan {scan_id!r}")
    return scan


def _pixel(live: Live, scan: Scan, row: int, column: int) -> PixelView:
    try:
        return live.pixel(scan, row, column)
    except IndexError as fault:
        raise HTTPException(404, str(fault)) from fault


async def _npz(live: Live, scan: Scan) -> bytes:
    if not scan.open and (path := await live.archive.maps_file(scan.id)) is not None:
        return await asyncio.to_thread(path.read_bytes)
    arrays: dict[str, Any] = scan.maps.results(scan.flags.pixels()) | {
        "total": scan.assembly.total,
        "provisional": scan.provisional,
    }
    arrays = {name: np.array(values) for name, values in arrays.items()}  # as of now, whatever comes in meanwhile
    return await asyncio.to_thread(_compressed, arrays, scan.card.to_json())


def _compressed(arrays: dict[str, Any], card: str) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays, card=np.asarray(card))
    return buffer.getvalue()


def _json(value: object, *, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")


async def _one_sentence(_request: Request, fault: Exception) -> Response:
    assert isinstance(fault, RequestValidationError)
    first = fault.errors()[0]
    name = ".".join(str(part) for part in first["loc"][1:])
    return _json({"detail": f"{name or 'body'}: {first['msg']}"}, status=422)


async def _defect(_request: Request, fault: Exception) -> Response:
    return _json({"detail": f"the monitor failed to answer ({type(fault).__name__}); see its log"}, status=500)


async def _detail(_request: Request, fault: Exception) -> Response:
    assert isinstance(fault, StarletteHTTPException)
    return _json({"detail": str(fault.detail)}, status=fault.status_code)
