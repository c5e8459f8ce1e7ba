"""ONNX Runtime: strips of raw counts in, scores out. Says which provider it runs on; never needs torch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from monitor.core.cores import allowed_cores
from monitor.core.errors import ModelError
from monitor.core.maps import Scores
from monitor.core.model_card import METADATA_KEY, Card, read_card
from monitor.core.model_file import graph_sha256
from monitor.core.resampling import Resampler
from monitor.core.strips import Run, Strip, cut_strip
from monitor.io.graph import Graph
from monitor.io.onnx_session import CUDA, open_session

PIXELS_PER_CALL, VALUES_PER_CALL = 2048, 2**20
"""At most, without halo: few enough for a short wait, many enough that the halo is a small part."""
LONGER_OFFLINE = 4
"""Times as many where nobody waits for the first of them and a strip goes through the graph in parts."""
PIXELS_AT_ONCE = 768
"""Of which so many are put to a processor's graph at once: its caches hold them."""
PIXELS_PER_CUDA_CALL, VALUES_PER_CUDA_CALL = 16384, 2**23
"""A graphics card takes as long for one row as for so many pixels: it is busy starting the graph's operations."""
CUDA_AT_ONCE = 2
"""Strips; one is made ready while the other is scored."""
MOST_AT_ONCE = 8
_ALWAYS = ("score", "energy_index", "kind")
_LATER = ("label", "span", "amount", "drift")
"""Outputs that a model of an earlier exporter does not have."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """What the model makes of one strip's core rows.

    `counts` as it took them and `expected`, both (row, column, energy); `latent` (row, column, k).
    """

    counts: NDArray[np.float32]
    expected: NDArray[np.float32]
    latent: NDArray[np.float32]


class Scorer:
    """A loaded model. ONNX Runtime allows several threads to run it at once."""

    def __init__(self, session: Any, card: Card, *, name: str) -> None:
        self.card = card
        self.name = name
        self._threads = min(allowed_cores(), MOST_AT_ONCE)
        self._graph = Graph(session, halo=card.halo[0], chains=self._threads)
        self._outputs = (*_ALWAYS, *(name for name in _LATER if name in self._graph.outputs))

    @property
    def at_once(self) -> int:
        """Strips to score at once: on a CPU one for each core, whose single thread then loses no time to others."""
        return CUDA_AT_ONCE if self._graph.on_cuda else self._threads

    @property
    def in_turn(self) -> bool:
        """True where a strip costs less after the one above it."""
        return self._graph.goes_on

    @property
    def pixels_per_call(self) -> int:
        """How many pixels, without halo, a strip should have."""
        pixels, values = PIXELS_PER_CALL, VALUES_PER_CALL
        if self._graph.on_cuda:
            pixels, values = PIXELS_PER_CUDA_CALL, VALUES_PER_CUDA_CALL
        return min(pixels, values // self.card.energy.size)

    @property
    def provider(self) -> str:
        """The ONNX Runtime provider that runs the graph."""
        return self._graph.provider

    def strips(
        self, counts: NDArray[Any], received: NDArray[np.bool_], resample: Resampler, *, pixels: int | None = None
    ) -> Iterator[Strip]:
        """A whole map (row, column, energy) as strips of about `pixels` pixels, for offline scoring.

        Without `pixels` as long ones as are good where nobody waits, as many for each thread.
        """
        rows, columns = received.shape
        if pixels is None and self.in_turn:
            step = self._rows_offline(rows, columns)
        else:
            step = max(1, (pixels or self.pixels_per_call) // columns)
        for row0 in range(0, rows, step):
            row1 = min(row0 + step, rows)
            yield cut_strip(
                counts, received, Run(row0=row0, row1=row1, stop=row1), halo=self.card.halo[0], resample=resample
            )

    def score(self, strip: Strip) -> Scores:
        """Scores of the strip's core rows, the provisional ones too."""
        if self.in_turn:
            parts = [self._graph.of_strip(self._outputs, part) for part in self._parts(strip, PIXELS_AT_ONCE)]
            values = [np.concatenate(each) for each in zip(*parts, strict=True)]
        else:
            values = self._run(self._outputs, strip, strip.counts())
        return Scores.of(dict(zip(self._outputs, values, strict=True)))

    def over(self, strips: Iterable[Strip], ask: Callable[[Strip], T]) -> Iterator[tuple[Strip, T]]:
        """Strips, in order, with what `ask` (such as `score`) says of each; `at_once` are asked side by side."""
        with ThreadPoolExecutor(self.at_once) as pool:
            under_way: deque[tuple[Strip, Future[T]]] = deque()
            for strip in strips:
                under_way.append((strip, pool.submit(ask, strip)))
                if len(under_way) > self.at_once:
                    first, answer = under_way.popleft()
                    yield first, answer.result()
            for strip, answer in under_way:
                yield strip, answer.result()

    def detail(self, strip: Strip) -> Detail:
        """Counts, expected counts and latent mean of the strip's core rows."""
        said = []
        for part in self._parts(strip, self.pixels_per_call):
            counts = part.counts()
            said.append((counts[part.core], *self._run(("expected", "latent"), part, counts)))
        counts, expected, latent = (np.concatenate(each) for each in zip(*said, strict=True))
        return Detail(counts=counts, expected=expected, latent=latent)

    def warm_up(self) -> None:
        """Score an empty row: the first call on a graphics card loads its kernels, which takes a second."""
        channels = self.card.energy.size
        empty = np.zeros((1, 128, channels), np.float32)
        for strip in self.strips(empty, np.ones((1, 128), np.bool_), Resampler(channels=slice(0, channels))):
            self.score(strip)

    def abort(self) -> None:
        """Break off the run under way, from another thread; none can follow."""
        self._graph.abort()

    def _rows_offline(self, rows: int, columns: int) -> int:
        """Rows of a strip, so that each thread has as many strips; at most half as much again as is good."""
        longest = LONGER_OFFLINE * self.pixels_per_call
        strips = self.at_once * max(round(rows * columns / self.at_once / longest), 1)
        return max(-(-rows // strips), 1)

    def _parts(self, strip: Strip, pixels: int) -> Iterator[Strip]:
        return strip.parts(max(pixels // strip.raw.shape[1], 1), self.card.halo[0])

    def _run(self, outputs: tuple[str, ...], strip: Strip, counts: NDArray[np.float32]) -> list[NDArray[Any]]:
        if not self._graph.on_cuda:
            return self._graph.of_rows(outputs, counts, strip.core)
        halo, rows = self.card.halo[0], strip.stop - strip.row0
        filled = self._filled_up(counts, strip.above, rows)
        values = self._graph.of_rows(outputs, filled, slice(halo, len(filled) - halo))
        return [value[:rows] for value in values]

    def _filled_up(self, counts: NDArray[np.float32], above: int, rows: int) -> NDArray[np.float32]:
        """A strip of so many rows amid missing ones, so that nearly all are of one size: each costs cuDNN 0.1 s.

        It begins below as many rows as the halo has. What is missing is to a score as what is outside of the map.
        """
        halo, columns = self.card.halo[0], counts.shape[1]
        step = max(1, self.pixels_per_call // columns)
        filled = np.full((-(-rows // step) * step + 2 * halo, *counts.shape[1:]), np.nan, np.float32)
        filled[halo - above : halo - above + len(counts)] = counts
        return filled


def load_scorer(path: Path, device: str = "auto") -> Scorer:
    """Load MODEL.onnx on `device` (auto: CUDA where ONNX Runtime offers it, else CPU).

    Raises ModelError for a file that is no model, has no valid card or a card of another graph; ConfigError where the
    device asked for is not there.
    """
    try:
        model = path.read_bytes()
    except OSError as fault:
        raise ModelError(
            f"model {path} cannot be read ({fault.strerror or fault}); make one with 'eelswatch export'"
        ) from fault
    session = open_session(model, device, name=path.name)
    card = read_card(session.get_modelmeta().custom_metadata_map.get(METADATA_KEY), where=path.name)
    if graph_sha256(model) != card.sha256:
        raise ModelError(f"the card of {path.name} belongs to another graph (sha256 differs); export the model again")
    _check_outputs(session, path.name)
    scorer = Scorer(session, card, name=path.name)
    if scorer.provider == CUDA:
        scorer.warm_up()
    return scorer


def _check_outputs(session: Any, name: str) -> None:
    wanted = {*_ALWAYS, "expected", "latent"}
    missing = wanted - {output.name for output in session.get_outputs()}
    if missing or "counts" not in {feed.name for feed in session.get_inputs()}:
        raise ModelError(f"{name} lacks {', '.join(sorted(missing)) or 'the input counts'}; export the model again")
