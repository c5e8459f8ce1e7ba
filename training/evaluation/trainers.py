"""Processes that train models ahead of need, while what is there already is compared.

Each has one thread: two cores train two models side by side in less time than one after the other. Until all are
trained, this process keeps to the cores that they leave, or one: threads that wait for a core cost more than they
bring.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from types import TracebackType

from threadpoolctl import threadpool_limits

from monitor.core.cores import allowed_cores
from training.evaluation.recipe import Recipe

MOST = 8
"""Each takes a GiB of memory."""


class Trainers:
    """Trains in folders inside `folder`; a context that ends what is still under way."""

    def __init__(self, folder: Path) -> None:
        at_once = min(allowed_cores(), MOST)
        self._folder = folder
        self._left = max(allowed_cores() - at_once, 1)
        self._pool = ProcessPoolExecutor(at_once, mp_context=get_context("spawn"), initializer=_alone)
        self._begun: dict[str, Future[Path]] = {}

    def __enter__(self) -> Trainers:
        self._limits = threadpool_limits(self._left)
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            for process in active_children():
                process.terminate()
        self._pool.shutdown(cancel_futures=True)
        self._limits.restore_original_limits()

    def begin(self, recipes: Iterable[Recipe]) -> None:
        """Train these models, in this order."""
        for recipe in recipes:
            self._begun[recipe.name] = self._pool.submit(recipe.make, self._folder)

    def trained(self, recipe: Recipe) -> Path:
        """The folder of its finished run, waited for. Raises what its training raised."""
        if recipe.name not in self._begun:
            self.begin([recipe])
        run = self._begun[recipe.name].result()
        if all(each.done() for each in self._begun.values()):
            self._limits.restore_original_limits()
        return run


def _alone() -> None:
    """One thread. It ends without a word by an interrupt, which reaches all of a terminal, and with its parent."""
    os.environ["OMP_NUM_THREADS"] = "1"  # the training goes by it
    threadpool_limits(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = parent_process()
    assert parent is not None, "it is a process that another has made"
    Thread(target=_end_with, args=[parent], daemon=True).start()


def _end_with(process: BaseProcess) -> None:
    process.join()
    os._exit(1)
