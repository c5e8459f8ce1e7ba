"""Messages of one look at the live state, each made once for all pages that have and want the same."""

from __future__ import annotations

from dashboard.state import Seen, Wish, next_message
from monitor.core.live_view import LiveView


class Looks:
    """What pages are sent. Pages that once have the same share one `Seen`, and by that all that follows."""

    def __init__(self, live: LiveView) -> None:
        self._live = live
        self._nothing = Seen()
        self._look = -1
        self._now_ns = 0
        self._made: dict[tuple[int, Wish], tuple[Seen, bytes | None, Seen]] = {}

    def message(self, look: int, *, wish: Wish, seen: Seen | None, now_ns: int) -> tuple[bytes | None, Seen]:
        """As `next_message`, for a page that asks in look number `look`; `seen` None: it has nothing yet."""
        if look != self._look:
            self._look, self._now_ns, self._made = look, now_ns, {}
        had = seen if seen is not None else self._nothing
        key = id(had), wish
        if key not in self._made:
            message, has = next_message(self._live, wish=wish, seen=had, now_ns=self._now_ns)
            has = next((other for _, _, other in self._made.values() if other == has), has)
            self._made[key] = had, message, has  # `had` is kept, so that its id stays its own
        return self._made[key][1:]
