"""Row for row the scores are the same to the last bit, wherever a strip begins and whatever the one above it left."""

import numpy as np
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from export.to_onnx import to_onnx
from monitor.core.resampling import resampler
from monitor.core.strips import Run, cut_strip
from monitor.io.graph import Graph
from monitor.io.scorer import Scorer
from tests.doubles import a_card
from training.config import TrainConfig
from training.fresh import new_graph
from training.train import load_graph

OUTPUTS = ("score", "energy_index", "kind", "label", "span", "amount", "drift")
ROWS = 24


class Spy:
    """A session that notes how many rows it is given."""

    def __init__(self, model):
        options = ort.SessionOptions()
        options.log_severity_level = 3
        self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.rows = []

    def __getattr__(self, name):
        return getattr(self._session, name)

    def run(self, outputs, feed, options=None):
        self.rows.append(feed["counts"].shape[1])
        return self._session.run(outputs, feed, options)


class Bench:
    """A model, a map, and what all of it at once is scored."""

    def __init__(self, graph, counts, energy):
        self.halo = graph.halo_rows
        self.spy = Spy(to_onnx(graph))
        self.energy, self._same = energy, resampler(energy, energy)
        self.received = np.isfinite(counts).all(-1)
        self.counts = counts

    def scorer(self):
        return Scorer(self.spy, a_card(energy=self.energy, halo_rows=self.halo), name="m")

    def graph(self, chains=1):
        return Graph(self.spy, halo=self.halo, chains=chains)

    def strip(self, row0, row1, stop=None, known=ROWS):
        """Rows as they are once the first `known` have come."""
        run = Run(row0=row0, row1=row1, stop=row1 if stop is None else stop)
        received = self.received & (np.arange(ROWS) < known)[:, None]
        return cut_strip(self.counts, received, run, halo=self.halo, resample=self._same)

    def whole(self, known=ROWS):
        strip = self.strip(0, ROWS, known=known)
        return self.graph().of_rows(OUTPUTS, strip.counts(), strip.core)


@pytest.fixture(scope="module")
def bench(run, holed_film, film):
    return Bench(load_graph(run)[0], holed_film, film.energy)


def differing(parts, whole, rows=slice(None)):
    together = [np.concatenate(part) for part in zip(*parts, strict=True)]
    pairs = zip(OUTPUTS, together, whole, strict=True)
    return [name for name, a, b in pairs if not np.array_equal(a, b[rows], equal_nan=True)]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, ROWS - 1), unique=True).map(sorted))
def test_strips_of_any_lengths_score_as_the_whole_map(bench, cuts):
    graph = bench.graph()
    parts = [graph.of_strip(OUTPUTS, bench.strip(*ends)) for ends in zip([0, *cuts], [*cuts, ROWS], strict=True)]
    assert differing(parts, bench.whole()) == []


def test_rows_one_by_one_are_looked_at_once(bench):
    graph = bench.graph()
    bench.spy.rows.clear()
    for row in range(ROWS):
        graph.of_strip(OUTPUTS, bench.strip(row, row + 1))
    inside = bench.spy.rows[bench.halo + 1 : ROWS - bench.halo]
    assert inside == [3] * len(inside), "the new row and those beside it that tell a spike"


def test_rows_that_are_scored_provisionally_are_handed_on_only_as_far_as_they_are_final(bench):
    graph, final, halo = bench.graph(), [], bench.halo
    for known in range(1, ROWS + 1):
        row = max(known - halo - 1, 0)
        strip = bench.strip(row, row + (known > halo), known, known)
        scores = graph.of_strip(OUTPUTS, strip)
        assert differing([scores], bench.whole(known), slice(row, known)) == []
        if known > halo:
            final.append([output[:1] for output in scores])
    assert differing(final, bench.whole(), slice(0, ROWS - halo)) == []


def test_counts_that_come_late_are_scored_with_what_they_change(bench):
    graph, late = bench.graph(), bench.received.copy()
    bench.received[9, 4:12] = False
    graph.of_strip(OUTPUTS, bench.strip(4, 11))
    bench.received[:] = late
    parts = [graph.of_strip(OUTPUTS, bench.strip(11, 15))]
    assert differing(parts, bench.whole(), slice(11, 15)) == []


@pytest.mark.parametrize(("row0", "row1", "stop"), [(0, 17, 17), (3, 9, 13), (6, 6, 12), (9, 24, 24)])
def test_a_strip_that_goes_through_the_graph_in_parts_is_one_strip(bench, monkeypatch, row0, row1, stop):
    monkeypatch.setattr("monitor.io.scorer.PIXELS_AT_ONCE", 3 * bench.counts.shape[1])
    known = min(max(stop, row1 + bench.halo), ROWS)
    scores = bench.scorer().score(bench.strip(row0, row1, stop, known))
    whole = dict(zip(OUTPUTS, bench.whole(known), strict=True))
    np.testing.assert_array_equal(scores.score, whole["score"][row0:stop])
    np.testing.assert_array_equal(scores.amount, whole["amount"][row0:stop])


def test_rows_without_a_final_score_leave_what_those_above_handed_on(bench):
    graph, halo = bench.graph(), bench.halo
    graph.of_strip(OUTPUTS, bench.strip(5, 6, known=6 + halo))
    graph.of_strip(OUTPUTS, bench.strip(6, 6, 6 + halo, known=6 + halo))
    bench.spy.rows.clear()
    graph.of_strip(OUTPUTS, bench.strip(6, 7))
    assert bench.spy.rows == [3]


@pytest.mark.parametrize("chains", [1, 2])
def test_of_so_many_chains_each_goes_on(bench, chains):
    graph = bench.graph(chains)
    bench.spy.rows.clear()
    for row in range(5, 9):
        for first in (0, 8):
            graph.of_strip(OUTPUTS, bench.strip(first + row, first + row + 1))
    whole = 2 * bench.halo + 1
    assert bench.spy.rows == [whole] * 2 + ([3] * 6 if chains == 2 else [whole] * 6)


@pytest.mark.parametrize("settings", [{"width": 24}, {"model": "paper"}], ids=str)
def test_so_it_is_with_other_widths_and_networks(holed_film, film, settings):
    graph = new_graph(film.energy, TrainConfig(**settings))
    graph.set_mean(torch.from_numpy(np.nanmean(holed_film, (0, 1))))
    graph.cvae.input_scale.fill_(10.0)
    bench = Bench(graph, holed_film, film.energy)
    going_on = bench.graph()
    parts = [going_on.of_strip(OUTPUTS, bench.strip(row, row + 2)) for row in range(0, ROWS, 2)]
    assert differing(parts, bench.whole()) == []
    inside = bench.spy.rows[bench.halo : -bench.halo]
    assert set(inside) == {4}
