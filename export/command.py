"""The subcommand `export`. Imports torch only when called."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished training run.")],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="MODEL.onnx", help="The model file to write.")],
    quiet: Annotated[bool, typer.Option("--quiet", help="No summary.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the model's card as JSON.")] = False,
) -> None:
    """Write a trained run as one ONNX file with its card, checked against PyTorch."""
    from export.export import export_run

    card = export_run(run, output)
    if as_json:
        sys.stdout.write(card.to_json() + "\n")
    elif not quiet:
        size = output.stat().st_size / 1e6
        typer.echo(f"{output} ({size:.1f} MB): {card.energy}; ONNX Runtime agrees with PyTorch to {card.parity:.1e}")
