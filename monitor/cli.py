"""The command `eelswatch`: subcommands found by entry points and imported only when they are called.

Exit 0 done, 1 failed, 2 misuse. An error is exactly one line on stderr, never a traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points, version
from typing import Annotated, NoReturn

import typer

from monitor.core.errors import EelswatchError, UsageError

GROUP = "eelswatch.commands"
EXTRAS = {
    "torch": "training",
    "onnx": "training",
    "onnxscript": "training",
    "onnxruntime": "cpu",
    "cbor2": "dectris",
    "lz4": "dectris",
}
DEBUG = "EELSWATCH_DEBUG"
"""Environment variable that shows the traceback of a defect instead of one line."""


def main() -> NoReturn:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command; gives the exit code. Errors have been written to stderr, one line each."""
    try:
        outcome = _application(arguments)(args=list(arguments), prog_name="eelswatch", standalone_mode=False)
    except typer.TyperException as fault:
        return _fail(fault.format_message(), fault.exit_code)
    except UsageError as fault:
        return _fail(str(fault), 2)
    except EelswatchError as fault:
        return _fail(str(fault), 1)
    except ModuleNotFoundError as fault:
        package = (fault.name or "").partition(".")[0]
        extra = EXTRAS.get(package)
        advice = f"pip install 'eelswatch[{extra}]'" if extra is not None else "install eelswatch again"
        return _fail(f"the package {package} is not installed; {advice}", 1)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", 130)
    except Exception as fault:  # the last resort: a defect, still one line
        if os.environ.get(DEBUG):
            raise
        return _fail(f"{type(fault).__name__}: {fault} (a defect; {DEBUG}=1 shows where)", 1)
    return outcome if isinstance(outcome, int) else 0


def _application(arguments: Sequence[str]) -> typer.Typer:
    app = typer.Typer(
        add_completion=False, rich_markup_mode=None, help="Live anomaly monitor for STEM-EELS spectrum imaging."
    )

    @app.callback(invoke_without_command=True)
    def eelswatch(
        context: typer.Context,
        *,
        show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    ) -> None:
        if show_version:
            typer.echo(version("eelswatch"))
        elif context.invoked_subcommand is None:
            typer.echo(context.get_help())

    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    # help lists every command; a call imports only its own
    called = next((word for word in arguments if not word.startswith("-")), None)
    for name in [called] if called in found else sorted(found):
        app.command(name)(found[name].load())
    return app


def _fail(message: str, code: int) -> int:
    typer.echo(f"eelswatch: {' '.join(message.split())}", err=True)
    return code
