"""`eelswatch demo`: the whole flow on one machine, with a simulated microscope in place of a real one."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
import webbrowser
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from monitor.commands.first_model import first_model
from monitor.core.errors import EelswatchError
from monitor.sim.microscope import SimulatedMicroscope
from monitor.sim.scene import SCENES
from monitor.sim.sender import StreamSender

READY = "eelswatch ready "
STOP_S = 10.0
DECIDE_S = 30.0
"""How long a specimen stays under the beam after its last scan, for somebody to approve a rescan."""


def demo(
    *,
    seconds: Annotated[float | None, typer.Option(help="Stop this many seconds after the page is ready.")] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
    auto_approve: Annotated[bool, typer.Option("--auto-approve", help="Approve every rescan proposed.")] = False,
    rate: Annotated[float, typer.Option(help="Spectra per second of the simulated camera.")] = 200.0,
    http: Annotated[str, typer.Option(help="HOST:PORT of the page; port 0 picks a free one.")] = "127.0.0.1:0",
    folder: Annotated[Path, typer.Option(help="Where model and recorded scans go.")] = Path("eelswatch-demo"),
    seed: Annotated[int, typer.Option(min=0, help="Number of the first specimen.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the ready line only.")] = False,
) -> None:
    """Simulate, train, export, serve and stream a specimen with hidden defects; open the page.

    The defects are proposed for a rescan; approve one on the page and watch the child scan confirm it. Ctrl+C ends it.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    scene = SCENES["demo"]
    if not quiet:
        typer.echo("making a model of the defect-free specimen (a minute or two; kept for the next time)")
    model = first_model(scene, folder, quiet=quiet)
    rescan = f"tcp://127.0.0.1:{free_port()}"
    with StreamSender("tcp://127.0.0.1:*", resend="tcp://127.0.0.1:*") as sender:
        options = ["--model", str(model), "--source", sender.endpoint, "--rescan", rescan, "--http", http]
        options += ["--data", str(folder / "data"), *(["--auto-approve"] if auto_approve else [])]
        with served(options, log=folder / "serve.log") as (monitor, url):
            typer.echo(f"{READY}{url}")
            if browser:
                webbrowser.open(url)
            until_s = time.monotonic() + seconds if seconds is not None else None
            microscope = SimulatedMicroscope(
                scene=scene, seed=seed, sender=sender, rescan=rescan, rate_spectra_per_s=rate, stop=stop
            )
            beam = threading.Thread(target=microscope.run, kwargs={"pause_s": DECIDE_S}, name="microscope", daemon=True)
            beam.start()
            while not stop.wait(0.2):
                if until_s is not None and time.monotonic() >= until_s:
                    stop.set()
                if monitor.poll() is not None:
                    stop.set()
                    raise EelswatchError(
                        f"the monitor ended with code {monitor.returncode}; see {folder / 'serve.log'}"
                    )
            beam.join(STOP_S)


@contextmanager
def served(options: list[str], *, log: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The monitor in a process of its own, and the page's URL; ended with the block."""
    with log.open("w", encoding="utf-8") as errors:
        monitor = subprocess.Popen(
            [sys.executable, "-m", "monitor", "serve", *options], stdout=subprocess.PIPE, stderr=errors, text=True
        )
        try:
            assert monitor.stdout is not None
            line = monitor.stdout.readline()
            if not line.startswith(READY):
                monitor.wait(STOP_S)
                last = (log.read_text(encoding="utf-8").strip().splitlines() or ["it said nothing"])[-1]
                raise EelswatchError(f"the monitor did not start: {last}")
            yield monitor, line.removeprefix(READY).strip()
        finally:
            monitor.terminate()
            try:
                monitor.wait(STOP_S)
            except subprocess.TimeoutExpired:
                monitor.kill()
                monitor.wait()


def free_port() -> int:
    """A TCP port of the loopback that is free now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
