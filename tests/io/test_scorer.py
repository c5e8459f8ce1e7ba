"""Strips through a session that stands in for ONNX Runtime's."""

from types import SimpleNamespace

import numpy as np
import pytest

from monitor.core.resampling import resampler
from monitor.core.strips import Run, cut_strip
from monitor.io.scorer import LONGER_OFFLINE, Scorer
from tests.doubles import AXIS, a_card

ROWS, COLUMNS = 5, 4
SHAPES = {"score": (), "energy_index": (), "kind": (), "label": (), "span": (2,), "amount": (2,)}


class GraphSession:
    """Answers for a graph of which `outputs` is all there is; each output's first channel is its row."""

    def __init__(self, *outputs):
        self._outputs = outputs

    def get_overridable_initializers(self):
        return []

    def get_providers(self):
        return ["CPUExecutionProvider"]

    def get_outputs(self):
        return [SimpleNamespace(name=name) for name in self._outputs]

    def run(self, names, feeds, _options):
        assert set(names) <= set(self._outputs), "asked for what the graph does not have"
        batch, rows, columns = feeds["counts"].shape[:3]
        row = np.arange(rows, dtype=np.float32)
        return [
            np.broadcast_to(row, (batch, rows))
            if name == "drift"
            else np.broadcast_to(row.reshape(-1, 1, *(1 for _ in SHAPES[name])), (batch, rows, columns, *SHAPES[name]))
            for name in names
        ]


class CuttingSession(GraphSession):
    """Leaves out the rows of the halo itself."""

    def get_overridable_initializers(self):
        return [SimpleNamespace(name="halo")]

    def run(self, names, feeds, _options):
        above, below = feeds["halo"]
        return [output[:, above : output.shape[1] - below] for output in super().run(names, feeds, _options)]


def scores_of(*outputs, session=GraphSession):
    counts = np.ones((ROWS, COLUMNS, AXIS.size), np.float32)
    run = Run(row0=1, row1=2, stop=3)
    strip = cut_strip(counts, np.ones((ROWS, COLUMNS), bool), run, halo=1, resample=resampler(AXIS, AXIS))
    return Scorer(session(*outputs), a_card(), name="m").score(strip)


def test_all_that_a_graph_says_of_the_strips_own_rows_is_taken():
    scores = scores_of("score", "energy_index", "kind", "label", "span", "amount", "drift", "expected")
    assert scores.drift_ev.tolist() == [1, 2], "without the halo"
    assert scores.label.shape == scores.kind.shape == (2, COLUMNS)
    assert scores.span.shape == scores.amount.shape == (2, COLUMNS, 2)
    assert scores.span[1, 0].tolist() == [2, 2]


def test_a_graph_of_an_earlier_exporter_says_less_and_is_scored_all_the_same():
    scores = scores_of("score", "energy_index", "kind", "expected", "latent")
    assert (scores.label == 0).all()
    np.testing.assert_array_equal(scores.span, np.stack([scores.energy_index] * 2, -1))
    assert np.isnan(scores.amount).all()
    assert np.isnan(scores.drift_ev).all()


def test_a_graph_that_can_leave_out_the_halo_is_told_to():
    outputs = ("score", "energy_index", "kind", "drift")
    cut, whole = (scores_of(*outputs, session=session) for session in (CuttingSession, GraphSession))
    np.testing.assert_array_equal(cut.score, whole.score)
    assert cut.drift_ev.tolist() == [1, 2]


class CarryingSession(GraphSession):
    """Says that it goes on from rows above."""

    def __init__(self):
        super().__init__("score", "energy_index", "kind", "carried_rows")


@pytest.mark.parametrize(("rows", "columns"), [(1, 9), (9, 400), (96, 96), (500, 100), (3, 9000)])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_map_of_which_nobody_waits_is_cut_into_strips_of_one_length_for_all_threads(
    monkeypatch, rows, columns, threads
):
    monkeypatch.setattr("monitor.io.scorer.allowed_cores", lambda: threads)
    scorer = Scorer(CarryingSession(), a_card(), name="m")
    counts, received = np.zeros((rows, columns, AXIS.size), np.uint8), np.ones((rows, columns), bool)
    strips = list(scorer.strips(counts, received, resampler(AXIS, AXIS)))
    lengths = [strip.row1 - strip.row0 for strip in strips]
    assert sum(lengths) == rows
    assert len(set(lengths[:-1])) <= 1
    assert lengths[-1] <= lengths[0]
    assert len(strips) >= min(threads, rows)
    assert lengths[0] * columns <= 1.5 * LONGER_OFFLINE * scorer.pixels_per_call + columns
