import numpy as np
import pytest
import torch
from small import CHANNELS, close, scores_of, small_film, untrained_graph

from training.families import EVIDENCE
from training.labels import LOOK_ROWS
from training.shift import move


@pytest.fixture(scope="module")
def film():
    return small_film(3).image.counts.astype(np.float32)


@pytest.fixture(scope="module")
def graph(film):
    return untrained_graph(mean=film.mean((0, 1)))


def test_missing_pixels_are_the_same_as_the_outside_of_the_map(graph, film):
    framed = np.full((film.shape[0] + 3, film.shape[1] + 5, CHANNELS), np.nan, np.float32)
    framed[2:-1, 3:-2] = film
    alone, inside = scores_of(graph, film), scores_of(graph, framed)
    for name in ("score", "expected", "latent"):
        assert close(getattr(inside, name)[2:-1, 3:-2], getattr(alone, name)), name
    assert np.isnan(inside.score[:2]).all()


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_a_pixel_with_one_bad_channel_is_missing_and_its_neighbours_do_without_it(graph, film, hole):
    holed, cut = film.copy(), film.copy()
    holed[7, 9, 33] = hole
    cut[7, 9] = np.nan
    with_hole, with_cut, whole = (scores_of(graph, counts) for counts in (holed, cut, film))
    assert np.isnan(with_hole.score[7, 9])
    assert np.isnan(with_hole.expected[7, 9]).all()
    assert np.isnan(with_hole.latent[7, 9]).all()
    assert (with_hole.energy_index[7, 9], with_hole.kind[7, 9]) == (0, 0)
    assert np.isnan(with_hole.score).sum() == 1
    assert close(with_hole.score, with_cut.score)
    assert with_hole.score[7, 10] != whole.score[7, 10]


@pytest.mark.parametrize("core", [1, 4, 8])
def test_strips_with_their_halo_score_as_the_whole_map_does(graph, film, core):
    film = film.copy()
    film[11, 4:9] = np.nan
    whole, halo = scores_of(graph, film), graph.halo_rows
    for row in range(0, len(film), core):
        first = max(row - halo, 0)
        strip = scores_of(graph, film[first : row + core + halo])
        assert close(strip.score[row - first : row - first + core], whole.score[row : row + core])
        assert close(strip.expected[row - first : row - first + core], whole.expected[row : row + core])


def test_a_score_looks_no_further_than_its_halo_and_as_far_where_there_is_no_spike_to_doubt(graph, film):
    changed = film.copy()
    changed[20] *= np.linspace(0.5, 1.5, CHANNELS, dtype=np.float32)
    differs = (scores_of(graph, changed).score != scores_of(graph, film).score).any(1)
    assert np.flatnonzero(differs)[0] == 20 - graph.halo_rows + LOOK_ROWS


def test_vacuum_and_negative_counts_give_small_finite_scores(graph, film):
    odd = film.copy()
    odd[2:5, 2:5] = 0.0
    odd[10, 10] = -3.0
    odd[12, 12, 50:60] = -40.0
    scores = scores_of(graph, odd)
    assert np.isfinite(scores.score).all()
    assert np.isfinite(scores.expected).all()
    assert scores.score[3, 3] <= np.median(scores.score)


@pytest.mark.parametrize("channels", [16, 61, 240, 257, 500, 1024])
def test_any_number_of_channels_is_scored_at_its_own_resolution(channels):
    counts = np.random.default_rng(0).poisson(200, (4, 5, channels)).astype(np.float32)
    scores = scores_of(untrained_graph(channels), counts)
    assert scores.expected.shape == counts.shape
    assert scores.latent.shape == (4, 5, 3)
    np.testing.assert_allclose(scores.expected.sum(-1), counts.sum(-1), rtol=1e-4)
    assert (scores.energy_index < channels).all()


def an_edge_at(channel):
    return 4000 + 40000 * np.exp(-0.5 * ((np.arange(CHANNELS) - channel) / 4.0) ** 2)


@pytest.mark.parametrize("moved", [-4.0, -1.0, 0.5, 2.5])
def test_a_moved_edge_is_named_a_shift_with_its_size_and_a_true_error(moved):
    graph = untrained_graph(mean=an_edge_at(60.0), step_ev=0.8)
    graph.bank.moved.look_at(torch.from_numpy(an_edge_at(60.0)[None].astype(np.float32)))
    graph.bank.tabulate()
    counts = np.broadcast_to(an_edge_at(60.0), (9, 9, CHANNELS)).copy()
    before = scores_of(graph, counts)
    counts[4, 4] = an_edge_at(60.0 + moved)
    scores = scores_of(graph, counts)
    assert EVIDENCE[scores.kind[4, 4]].startswith("shift")
    value, error = scores.amount[4, 4]
    assert value == pytest.approx(moved * 0.8, rel=0.35)
    assert 0 < error < 0.1
    first, last = scores.span[4, 4]
    assert first <= scores.energy_index[4, 4] <= last
    assert scores.score[4, 4] > before.score[4, 4]


def test_counts_too_many_are_an_excess_of_as_many_counts():
    graph = untrained_graph(mean=np.full(CHANNELS, 4000.0))
    counts = np.full((9, 9, CHANNELS), 4000.0)
    bump = 6000 * np.exp(-0.5 * ((np.arange(CHANNELS) - 70) / 3.0) ** 2)
    plain = scores_of(graph, counts)
    counts[4, 4] += bump
    scores = scores_of(graph, counts)
    assert EVIDENCE[scores.kind[4, 4]].startswith("intensity")
    assert abs(scores.energy_index[4, 4] - 70) <= 3
    assert scores.amount[4, 4, 0] == pytest.approx(bump.sum(), rel=0.3)
    assert scores.score[4, 4] > plain.score[4, 4]


@pytest.mark.parametrize("shift", [-3.6, -0.25, 0.0, 0.4, 2.0])
def test_a_row_is_moved_by_fractions_of_a_channel(shift):
    e = torch.arange(64.0)
    peak = torch.exp(-0.5 * ((e - 30) / 3) ** 2)
    moved = move(peak.expand(1, 2, 3, 64), torch.tensor([[shift, 0.0]]))
    wanted = torch.exp(-0.5 * ((e - 30 - shift) / 3) ** 2)
    assert torch.allclose(moved[0, 0], wanted.expand(3, 64), atol=5e-3)
    assert torch.allclose(moved[0, 1], peak.expand(3, 64))
