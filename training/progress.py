"""The progress bar of a training run: loss, chi2 per degree of freedom, time left. On stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.loop import Progress


@contextmanager
def training_progress(steps: int, *, silent: bool) -> Iterator[Callable[[Progress, float], None] | None]:
    """Gives the function that the loop reports to, None where it shall be silent."""
    if silent:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[text]}"))
    bar = Bar(*columns, console=Console(stderr=True))
    task = bar.add_task("training", total=steps, text="")

    def report(progress: Progress, seconds_left: float) -> None:
        if progress.step < bar.tasks[task].completed:
            bar.update(task, description="training again, suspects set apart")
        bar.start()  # with the first step, so that a run that cannot begin shows its error alone
        text = f"loss {progress.validation:.3e}  chi2/dof {progress.chi2_per_dof:.3f}  {seconds_left:.0f} s left"
        bar.update(task, completed=progress.step, text=text)

    try:
        yield report
    finally:
        bar.stop()
