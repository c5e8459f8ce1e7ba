"""The tasks that the service is made of.

Law: none of them ends by itself. The first that does, for whatever reason, ends the service with a message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from monitor.core.errors import EelswatchError, LaneError

_log = structlog.get_logger(__name__)


class Lanes:
    """Lanes run for ever; errands end, but must not fail."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()
        self._first: asyncio.Task[None] | None = None

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a lane."""
        task = self._run(name, work)
        task.add_done_callback(self._lost)
        return task

    def errand(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run something that comes to an end."""
        self._run(name, work).add_done_callback(self._done)

    def stop(self) -> None:
        """Let `over` return."""
        self._over.set()

    async def over(self) -> None:
        """Wait for `stop`. Where a lane ends before: logs which, and raises what it raised, LaneError if nothing."""
        await self._over.wait()
        if self._first is None:
            return
        name = self._first.get_name()
        fault = None if self._first.cancelled() else self._first.exception()
        if fault is None:
            fault = LaneError(f"the lane {name} has ended by itself, and nothing goes on without it; start anew")
        words = str(fault) if isinstance(fault, EelswatchError) else f"{type(fault).__name__}: {fault}"
        _log.error("lane ended", lane=name, fault=" ".join(words.split()))
        raise fault

    async def cancel(self) -> None:
        """End whatever still runs."""
        for task in (rest := list(self._tasks)):
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def _run(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._lost(task)

    def _lost(self, task: asyncio.Task[None]) -> None:
        self._first = self._first if self._first is not None or self._over.is_set() else task
        self._over.set()
