"""The subcommand `train`. Imports torch only when called."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from monitor.core.errors import UsageError


def train(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="FILE... [KEY=VALUE...]", help="Spectrum images to learn from, then settings."),
    ],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="RUN", help="Folder of the run.")],
    energy: Annotated[str | None, typer.Option(metavar="LO:HI", help="Energy window in eV.")] = None,
    region: Annotated[
        str | None, typer.Option(metavar="R0:R1,C0:C1", help="Pixels to learn from, rows then columns, half-open.")
    ] = None,
    config: Annotated[Path | None, typer.Option(metavar="F", help="Settings as TOML.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, crops and held-out blocks.")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Begin again, even where the run is finished.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar and no summary.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the run's record as JSON.")] = False,
) -> None:
    """Train the 3D-CVAE on clean spectrum images; the same command again goes on where it was cut off."""
    files = [Path(text) for text in inputs if "=" not in text or Path(text).exists()]
    overrides = [text for text in inputs if "=" in text and not Path(text).exists()]
    if not files:
        raise UsageError("no spectrum image given; wanted 'eelswatch train FILE... -o RUN'")
    from training.config import read_config

    settings = read_config(config, overrides, options={"energy": energy, "region": region, "seed": seed})

    import msgspec

    from training.data import load_training_set
    from training.progress import training_progress

    shares = (settings.validation_share, settings.calibration_share)
    data = load_training_set(files, energy=settings.energy, region=settings.region, seed=settings.seed, shares=shares)
    # Threads that wait spinning halve the speed of a shared machine and gain nothing on a quiet one (read by torch's
    # OpenMP when it is loaded).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with training_progress(settings.steps, silent=quiet or as_json) as report:
        from training.train import train_run

        record, worked = train_run(output, data, settings, restart=restart, report=report)
    if as_json:
        sys.stdout.write(msgspec.json.encode(record).decode() + "\n")
    elif not quiet:
        for note in record.notes:
            typer.echo(f"note: {note}", err=True)
        outcome = record.outcome
        assert outcome is not None
        what = (
            f"trained in {outcome.seconds:.0f} s on {outcome.device}"
            if worked
            else "was finished already (--restart begins again)"
        )
        typer.echo(
            f"{output} {what}: chi2/dof {outcome.losses['chi2_per_dof']:.3f} at gain {outcome.noise.gain:.3g}, "
            f"calibrated on {outcome.calibration.pixels} pixels"
        )
