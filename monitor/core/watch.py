"""Which lanes of the service still move. Its clock is the `now_ns` (monotonic) of each call.

Law: a lane is stuck when it has work and has given no sign of life for longer than the limit. A lane at rest never is,
however long nothing comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

SECOND_NS = 1_000_000_000

Lane = Literal["receive", "score", "tick", "stop"]
"""What is watched; `stop` is the way out, from the signal to the end of the process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """A lane that has work and does not get on with it."""

    lane: Lane
    silent_s: float


class Watch:
    """The last sign of life of each lane. One thread gives the signs, another one may check."""

    def __init__(self, *, limit_s: float) -> None:
        self._limit_ns = int(limit_s * SECOND_NS)
        # every key is there from the start: threads only ever replace a value, which needs no lock
        self._signs: dict[Lane, int | None] = dict.fromkeys(get_args(Lane))
        self._checked_ns: int | None = None
        self._excused_ns = 0

    def alive(self, lane: Lane, *, now_ns: int) -> None:
        """`lane` has work and has just got on with it; once the service is `stopping`, that counts no more."""
        if self._signs["stop"] is None:
            self._signs[lane] = now_ns

    def rest(self, lane: Lane) -> None:
        """`lane` has nothing to do."""
        self._signs[lane] = None

    def stopping(self, *, now_ns: int) -> None:
        """From now on the one thing to be done is to end."""
        for lane in self._signs:
            self.rest(lane)
        self.alive("stop", now_ns=now_ns)

    def check(self, now_ns: int) -> list[Stuck]:
        """The lanes that are stuck, the longest silent first; to be called several times within the limit."""
        last_ns, self._checked_ns = self._checked_ns, now_ns
        if last_ns is None or 2 * (now_ns - last_ns) > self._limit_ns:
            self._excused_ns = now_ns  # the check stood still, too: a process that was stopped as a whole is not stuck
        stuck: list[Stuck] = []
        for lane, sign_ns in self._signs.items():
            silent_ns = now_ns - max(sign_ns, self._excused_ns) if sign_ns is not None else 0
            if silent_ns > self._limit_ns:
                stuck.append(Stuck(lane=lane, silent_s=silent_ns / SECOND_NS))
        return sorted(stuck, key=lambda each: -each.silent_s)
