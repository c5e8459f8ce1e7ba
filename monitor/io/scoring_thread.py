"""The one thread that scores. A daemon: a graph that never comes back must not hold up the end of the process."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from queue import SimpleQueue

from monitor.core.maps import Scores
from monitor.core.strips import Strip
from monitor.io.scorer import Scorer


class ScoringThread:
    """Runs `scorer` beside the loop, one strip at a time in the order asked. Call `start` before use, `end` after."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._asked: SimpleQueue[tuple[Strip, Future[Scores]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="scorer", daemon=True)

    @property
    def running(self) -> bool:
        """True until the thread has ended."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Take strips from now on."""
        self._thread.start()

    async def score(self, strip: Strip) -> Scores:
        """Scores of the strip's core rows; raises what the scorer raised."""
        answer: Future[Scores] = Future()
        self._asked.put((strip, answer))
        return await asyncio.wrap_future(answer)

    def end(self, timeout_s: float) -> None:
        """Take no more strips, break off the one at hand; waits for it at most so long."""
        self._asked.put(None)
        self._scorer.abort()
        self._thread.join(timeout_s)

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
