"""The lane between the scans' planners and the scoring threads: strips out, scores back in, on the service's loop."""

from __future__ import annotations

import asyncio
import time

from monitor.core.scan import Scan
from monitor.core.session import Session
from monitor.core.strips import Strip
from monitor.core.version import Version
from monitor.core.watch import Watch
from monitor.io.scoring_threads import ScoringThreads


class ScoreLane:
    """Keeps every scoring thread busy while a scan has rows to score. It lags where it must and drops nothing."""

    def __init__(self, session: Session, threads: ScoringThreads, *, version: Version, watch: Watch) -> None:
        self._session = session
        self._threads = threads
        self._version = version
        self._watch = watch
        self._news = asyncio.Event()

    def look(self) -> None:
        """There may be rows to score."""
        self._news.set()

    async def run(self) -> None:
        """Score until cancelled; raises what the scorer raised."""
        under_way: dict[asyncio.Task[None], int] = {}
        news = asyncio.create_task(self._news.wait())
        try:
            while True:
                self._begin(under_way)
                # a strip that does not come back shows, however many others do
                if under_way:
                    self._watch.alive("score", now_ns=min(under_way.values()))
                else:
                    self._watch.rest("score")
                done, _ = await asyncio.wait({news, *under_way}, return_when=asyncio.FIRST_COMPLETED)
                if news in done:
                    self._news.clear()
                    news = asyncio.create_task(self._news.wait())
                for task in [task for task in under_way if task in done]:
                    del under_way[task]
                    task.result()
        finally:
            for task in (news, *under_way):
                task.cancel()

    def _begin(self, under_way: dict[asyncio.Task[None], int]) -> None:
        threads = self._threads
        for scan in self._session.active:
            while len(under_way) < threads.count:
                strip = scan.next_strip(threads.pixels_per_call, in_turn=threads.in_turn)
                if strip is None:
                    break
                under_way[asyncio.create_task(self._score(scan, strip))] = time.monotonic_ns()

    async def _score(self, scan: Scan, strip: Strip) -> None:
        scores = await self._threads.score(strip)
        scan.put(strip, scores, version=self._version.bump(), now_ns=time.monotonic_ns())
