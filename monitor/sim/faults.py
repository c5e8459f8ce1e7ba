"""What goes wrong between a detector and a monitor, on purpose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from monitor.core.errors import UsageError
from monitor.core.wire import Frame

SHARES = ("drop", "duplicate", "reorder", "truncate", "abort")


@dataclass(slots=True, kw_only=True)
class Faults:
    """Shares (0 to 1) of blocks that are lost, sent twice, sent after their successor, or cut short.

    `abort` is the share of the scan after which it is aborted (1: never); `lose_end` keeps scan_end back.
    """

    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    truncate: float = 0.0
    abort: float = 1.0
    lose_end: bool = False
    _late: list[Sequence[Frame]] = field(default_factory=list)

    def apply(self, frames: Sequence[Frame], rng: np.random.Generator) -> Iterator[Sequence[Frame]]:
        """What is sent in place of one block."""
        if rng.random() < self.drop:
            return
        if rng.random() < self.reorder:
            self._late.append(frames)
            return
        if rng.random() < self.truncate:
            yield [frames[0], bytes(frames[1][:-1])]
        yield frames
        if rng.random() < self.duplicate:
            yield frames
        yield from self.held_back()

    def held_back(self) -> Iterator[Sequence[Frame]]:
        """Blocks whose successor has been sent."""
        late, self._late = self._late, []
        yield from late

    def blocks_before_abort(self, blocks: int) -> int:
        """How many of a scan's blocks are sent."""
        return blocks if self.abort >= 1 else round(blocks * self.abort)


def parse_faults(texts: Sequence[str]) -> Faults:
    """Faults from texts such as drop=0.05, abort=0.5 or lose-end; raises UsageError for others."""
    faults = Faults()
    for text in texts:
        name, _, share = text.partition("=")
        if text == "lose-end":
            faults.lose_end = True
            continue
        try:
            value = float(share)
        except ValueError:
            value = -1.0
        if name not in SHARES or not 0 <= value <= 1:
            wanted = ", ".join(f"{known}=SHARE" for known in SHARES)
            raise UsageError(f"fault {text!r}; wanted {wanted} with a share of 0 to 1, or lose-end")
        setattr(faults, name, value)
    return faults
