"""How far an evaluation is, on stderr: one line a finished stage, and a bar for what is under way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn


class Teller:
    """Knows how many stages there are and which is under way; silent where told so."""

    def __init__(self, stages: int, *, silent: bool) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}"),
            console=Console(stderr=True),
            disable=silent,
            transient=True,
        )
        self._task = self._bar.add_task("evaluating", total=stages, text="")
        self._silent = silent

    def __enter__(self) -> Teller:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    @contextmanager
    def stage(self, what: str) -> Iterator[None]:
        """One stage of the plan."""
        started = time.monotonic()
        self._bar.update(self._task, text=what)
        yield
        self._bar.advance(self._task)
        if not self._silent:
            task = self._bar.tasks[0]
            seconds = time.monotonic() - started
            self._bar.console.print(f"{task.completed:.0f}/{task.total:.0f} {what}: {seconds:.0f} s", highlight=False)
