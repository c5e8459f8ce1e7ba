"""A model's graph in ONNX Runtime: how rows are put to it, and what it need not compute again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.strips import Strip
from monitor.io.handover import Handover, Handovers, left_by
from monitor.io.onnx_session import CUDA, only_what_is_fetched

HALO, EXPLAIN, EARLY = "halo", "explain", "early"
"""Inputs: rows at top and bottom that need no scores; is `expected` wanted; how many rows the strip below will score
once more. Earlier exporters had none of them."""
ABOVE, CARRIED = "above_", "carried_"
"""How the inputs begin that take what the outputs that begin so said of the rows above; likewise."""
SEEN_AGAIN = 2
"""Of the rows from which something is carried, the last ones, which the counts put to the graph still begin with: one
that was not looked at for want of the row below it, and the one above that (LOOK_ROWS in training/labels.py)."""


class Graph:
    """The session of a model that looks `halo` rows up and down. Several threads may run it at once.

    Of each of `chains` of strips it remembers what the next strip needs.
    """

    def __init__(self, session: Any, *, halo: int, chains: int) -> None:
        self._session = session
        self._halo = halo
        self._fetch_only = only_what_is_fetched()
        self._inputs = {each.name for each in session.get_overridable_initializers()}
        self._handovers = Handovers(chains)
        self.outputs = [output.name for output in session.get_outputs()]
        self._carried = [name for name in self.outputs if name.startswith(CARRIED)]

    @property
    def provider(self) -> str:
        """The ONNX Runtime provider that runs the graph."""
        return str(self._session.get_providers()[0])

    @property
    def on_cuda(self) -> bool:
        """True on a graphics card."""
        return self.provider == CUDA

    @property
    def goes_on(self) -> bool:
        """True where a strip costs less after the one above it; only then is `of_strip` for it."""
        return bool(self._carried) and not self.on_cuda

    def abort(self) -> None:
        """Break off the run under way, from another thread; none can follow."""
        self._fetch_only.terminate = True

    def of_rows(self, outputs: tuple[str, ...], counts: NDArray[np.float32], core: slice) -> list[NDArray[Any]]:
        """The `outputs` (row, ...) for the rows `core` of `counts` (row, column, energy)."""
        halo = core.start, len(counts) - core.stop
        values = self._run(outputs, counts, halo, {EXPLAIN: np.array("expected" in outputs)})
        return [value[0] if HALO in self._inputs else value[0, core] for value in values]

    def of_strip(self, outputs: tuple[str, ...], strip: Strip) -> list[NDArray[Any]]:
        """The `outputs` (row, ...) for the core of `strip`, from where the strip above it ended if that is known."""
        handover, left = self._handovers.take(strip), left_by(strip, self._halo)
        known = handover.tensors if handover is not None else {}
        first = 2 * self._halo - SEEN_AGAIN if handover is not None else 0
        state = {EXPLAIN: np.zeros((), np.bool_), EARLY: np.array(strip.stop - strip.row1), **known}
        wanted = (*outputs, *self._carried) if left is not None else outputs
        values = self._run(wanted, strip.counts(first), strip.halo, state)
        if left is None:
            if handover is not None:
                self._handovers.keep(handover)  # for those that come after rows scored provisionally
        else:
            tensors = dict(zip(self._carried, values[len(outputs) :], strict=True))
            self._handovers.keep(
                Handover(
                    raw=np.array(strip.raw[left]),
                    received=np.array(strip.received[left]),
                    resample=strip.resample,
                    tensors={ABOVE + name.removeprefix(CARRIED): value for name, value in tensors.items()},
                )
            )
        return [value[0] for value in values[: len(outputs)]]

    def _run(
        self,
        outputs: tuple[str, ...],
        counts: NDArray[np.float32],
        halo: tuple[int, int],
        state: dict[str, NDArray[Any]],
    ) -> list[NDArray[Any]]:
        given = {HALO: np.array(halo), **state}
        feed = {"counts": counts[None]} | {name: value for name, value in given.items() if name in self._inputs}
        return list(self._session.run(list(outputs), feed, self._fetch_only))
