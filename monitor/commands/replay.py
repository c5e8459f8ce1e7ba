"""`eelswatch replay`: a stored map, or a recorded scan, as a live stream."""

from __future__ import annotations

import math
import secrets
import time
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import typer
from rich.progress import Progress

from monitor.core.errors import DataError, UsageError
from monitor.core.messages import MAX_SCAN_ID
from monitor.core.scan_record import ScanRecord
from monitor.files.curve_keys import read_key_pair
from monitor.files.spectrum_image import read_spectrum_image
from monitor.sim.faults import parse_faults
from monitor.sim.publisher import ScanToSend, publish
from monitor.sim.sender import StreamSender

RESEND_S = 60.0


def replay(
    file: Annotated[Path, typer.Argument(help="Spectrum image, or the folder of a recorded scan.")],
    *,
    bind: Annotated[str, typer.Option(help="Address to publish at, such as tcp://127.0.0.1:5555.")],
    mode: Annotated[str, typer.Option(help="pub (monitor: --mode sub) or push (monitor: --mode pull).")] = "pub",
    rate: Annotated[float | None, typer.Option(help="Spectra per second; as fast as it goes without.")] = None,
    resend: Annotated[str | None, typer.Option(help="Address to answer resend requests at.")] = None,
    curve_key: Annotated[
        Path | None, typer.Option(help="Secret key: talk encrypted (serve: --curve-server-key).")
    ] = None,
    order: Annotated[str, typer.Option(help="rows, serpentine or shuffled.")] = "rows",
    blocks_per_row: Annotated[int, typer.Option(min=1, help="Parts that each row is sent in.")] = 1,
    fault: Annotated[
        list[str] | None, typer.Option(help="drop=0.05, duplicate=, reorder=, truncate=, abort=SHARE or lose-end.")
    ] = None,
    scan: Annotated[str | None, typer.Option(help="Id of the scan; made up from the file's name without.")] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for a monitor before starting.")] = 30.0,
    linger: Annotated[float, typer.Option(help="Seconds to answer resend requests after the end.")] = RESEND_S,
    seed: Annotated[int, typer.Option(help="Seed of the order and the faults.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Stream a map in the wire format of a live acquisition."""
    if mode not in ("pub", "push"):
        raise UsageError(f"mode {mode!r}; wanted pub or push")
    if order not in ("rows", "serpentine", "shuffled"):
        raise UsageError(f"order {order!r}; wanted rows, serpentine or shuffled")
    if rate is not None and not rate > 0:
        raise UsageError(f"rate {rate:g} spectra/s; wanted above 0")
    if scan is not None and not (1 <= len(scan) <= MAX_SCAN_ID and scan.isprintable()):
        raise UsageError(f"scan id {scan[:40]!r} of {len(scan)} characters; wanted 1 to {MAX_SCAN_ID} printable ones")
    faults = parse_faults(fault or [])
    keys = read_key_pair(curve_key) if curve_key is not None else None
    name = (
        scan
        if scan is not None
        else f"{file.stem}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(2)}"
    )
    to_send = _recorded(file, name) if (file / "scan.json").is_file() else _stored(file, name)
    with (
        StreamSender(bind, mode=mode, resend=resend, curve=keys) as sender,
        Progress(disable=quiet, transient=True) as progress,
    ):
        task = progress.add_task(f"streaming {name}", total=math.prod(to_send.counts.shape[:2]))
        if not sender.wait_for_monitor(wait):
            progress.console.print(f"nobody listens at {bind} after {wait:g} s; streaming all the same")
        for sent in publish(
            sender,
            to_send,
            rate_spectra_per_s=rate,
            order=order,
            blocks_per_row=blocks_per_row,
            faults=faults,
            seed=seed,
        ):
            progress.update(task, completed=sent)
        if resend is not None:
            progress.update(task, description=f"answering resends for {linger:g} s")
            sender.answer_until(time.monotonic() + linger)


def _stored(file: Path, name: str) -> ScanToSend:
    if (file / "catalogue.sqlite").is_file():
        scans = sorted(path.parent for path in (file / "scans").glob("*/scan.json"))
        such = f", such as {scans[-1]}" if scans else ""
        raise DataError(f"{file} holds {len(scans)} recorded scans; give the folder of one{such}")
    image = read_spectrum_image(file)
    return ScanToSend(
        scan=name,
        counts=image.counts,
        energy=image.energy,
        title=image.title,
        dwell_us=image.dwell_us,
        pixel_nm=image.pixel_nm,
        beam_kev=image.beam_kev,
    )


def _recorded(folder: Path, name: str) -> ScanToSend:
    try:
        started = msgspec.json.decode((folder / "scan.json").read_bytes(), type=ScanRecord).started
        counts = np.load(folder / "counts.npy", mmap_mode="r", allow_pickle=False)
        received = np.load(folder / "pixel_seq.npy", allow_pickle=False) > 0
    except (OSError, ValueError, msgspec.MsgspecError) as fault:
        raise DataError(f"{folder} is no recorded scan ({fault})") from fault
    return ScanToSend(
        scan=name,
        counts=counts,
        received=received,
        energy=started.energy,
        title=started.title or folder.name,
        dwell_us=started.dwell_us,
        pixel_nm=started.pixel_nm,
        beam_kev=started.beam_kev,
        counts_per_electron=started.counts_per_electron,
    )
