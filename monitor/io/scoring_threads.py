"""The threads that score. Daemons: a graph that never comes back must not hold up the end of the process."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future
from queue import SimpleQueue

from monitor.core.maps import Scores
from monitor.core.strips import Strip
from monitor.io.scorer import Scorer


class ScoringThreads:
    """Run `scorer` beside the loop, a strip a thread, begun in the order asked. `start` before use, `end` after."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._asked: SimpleQueue[tuple[Strip, Future[Scores]] | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=f"scorer {n}", daemon=True) for n in range(scorer.at_once)
        ]

    @property
    def count(self) -> int:
        """How many strips are scored at once."""
        return len(self._threads)

    @property
    def pixels_per_call(self) -> int:
        """How many pixels, without halo, a strip should have."""
        return self._scorer.pixels_per_call

    @property
    def in_turn(self) -> bool:
        """True where a strip costs less after the one above it."""
        return self._scorer.in_turn

    @property
    def running(self) -> bool:
        """True until all threads have ended."""
        return any(thread.is_alive() for thread in self._threads)

    def start(self) -> None:
        """Take strips from now on."""
        for thread in self._threads:
            thread.start()

    async def score(self, strip: Strip) -> Scores:
        """Scores of the strip's core rows; raises what the scorer raised."""
        answer: Future[Scores] = Future()
        self._asked.put((strip, answer))
        return await asyncio.wrap_future(answer)

    def end(self, timeout_s: float) -> None:
        """Take no more strips, break off those at hand; waits for them at most so long."""
        until_s = time.monotonic() + timeout_s
        for _ in self._threads:
            self._asked.put(None)
        self._scorer.abort()
        for thread in self._threads:
            thread.join(max(until_s - time.monotonic(), 0.0))

    def _run(self) -> None:
        while (asked := self._asked.get()) is not None:
            strip, answer = asked
            if not answer.set_running_or_notify_cancel():
                continue
            try:
                scores = self._scorer.score(strip)
            except BaseException as fault:  # whatever it is, it belongs to the lane that asked
                answer.set_exception(fault)
            else:
                answer.set_result(scores)
