"""`eelswatch serve`: the live monitor and its page."""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from monitor.config import ServeConfig, load_config
from monitor.core.errors import ConfigError
from monitor.io.logs import set_up_logs

if TYPE_CHECKING:
    from monitor.service import Monitor

PAGES = "eelswatch.pages"


def serve(
    *,
    model: Annotated[Path | None, typer.Option(help="MODEL.onnx made by 'eelswatch export'.")] = None,
    source: Annotated[
        str | None, typer.Option(help="tcp://host:5555 where the acquisition binds, or dectris+tcp://host:31001.")
    ] = None,
    mode: Annotated[str | None, typer.Option(help="sub or pull, as the source publishes or pushes.")] = None,
    curve_server_key: Annotated[Path | None, typer.Option(help="The source's public key: talk encrypted.")] = None,
    curve_key: Annotated[Path | None, typer.Option(help="The monitor's own secret key, where asked for.")] = None,
    scan_rows: Annotated[int | None, typer.Option(help="Rows of a DECTRIS detector's scans.")] = None,
    scan_columns: Annotated[int | None, typer.Option(help="Columns of a DECTRIS detector's scans.")] = None,
    energy_offset: Annotated[float | None, typer.Option(help="Energy loss at its column 0, in eV.")] = None,
    energy_step: Annotated[float | None, typer.Option(help="Energy loss from column to column, in eV.")] = None,
    detector_region: Annotated[str | None, typer.Option(help="R0:R1,C0:C1 of its pixels; all without.")] = None,
    http: Annotated[str | None, typer.Option(help="HOST:PORT of the page; port 0 picks a free one.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder for recorded scans.")] = None,
    rescan: Annotated[str | None, typer.Option(help="Where instruments connect for rescans.")] = None,
    fdr: Annotated[float | None, typer.Option(help="False discovery rate of the flags, above 0 and below 1.")] = None,
    false_flags: Annotated[
        float | None, typer.Option(help="In place of --fdr: about so many false flags per scan.")
    ] = None,
    stall: Annotated[float | None, typer.Option(help="Seconds of silence after which a scan ends.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cuda or cpu.")] = None,
    max_scan_gib: Annotated[float | None, typer.Option(help="Largest scan let in, in GiB.")] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the token; or the variable EELSWATCH_TOKEN.")
    ] = None,
    log: Annotated[str | None, typer.Option(help="How log lines look: text or json.")] = None,
    auto_approve: Annotated[bool | None, typer.Option("--auto-approve", help="Approve every rescan proposed.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with any of these settings.")] = None,
) -> None:
    """Watch a stream live: score it, record it, show it.

    Prints one line with the page's URL when it is ready; SIGINT and SIGTERM end it with exit 0.
    """
    # until the service's own handlers stand, there is nothing to finish
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    settings = {
        "model": model,
        "source": source,
        "mode": mode,
        "curve_server_key": curve_server_key,
        "curve_key": curve_key,
        "scan_rows": scan_rows,
        "scan_columns": scan_columns,
        "energy_offset_ev": energy_offset,
        "energy_step_ev": energy_step,
        "detector_region": detector_region,
        "http": http,
        "data": data,
        "rescan": rescan,
        "fdr": fdr,
        "false_flags": false_flags,
        "stall_s": stall,
        "device": device,
        "max_scan_gib": max_scan_gib,
        "log": log,
        "auto_approve": auto_approve,
        "token": _token(token_file),
    }
    configuration = load_config(config, settings)
    set_up_logs(configuration.log)
    run(configuration)


def run(configuration: ServeConfig) -> None:
    """Serve until a signal comes. Raises EelswatchError where it cannot start or a lane fails."""
    configuration.check_security()
    from monitor.io.scorer import load_scorer
    from monitor.io.service_manager import ServiceManager
    from monitor.io.watchdog import leave
    from monitor.service import Monitor

    scorer = load_scorer(configuration.model, configuration.device)
    structlog.get_logger(__name__).info("model loaded", model=scorer.name, provider=scorer.provider)
    pages = [entry.load() for entry in entry_points(group=PAGES)]
    manager = ServiceManager.from_environment(os.environ)
    monitor = Monitor(configuration, scorer, pages=pages, manager=manager)
    code = 1
    try:
        asyncio.run(_until_signal(monitor))
        code = 0
    finally:
        if monitor.scorer_hangs:
            # a native call under way may crash or block an interpreter that ends around it
            atexit.register(leave, code)


async def _until_signal(monitor: Monitor) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, monitor.stop)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(monitor.stop))
    await monitor.run(ready=lambda url: typer.echo(f"eelswatch ready {url}"))


def _token(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get("EELSWATCH_TOKEN") or None
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(f"token file {file} cannot be read ({fault})") from fault
    if not token:
        raise ConfigError(f"token file {file} is empty; write the token into it")
    return token
