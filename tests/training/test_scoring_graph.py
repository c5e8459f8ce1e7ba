import numpy as np
import pytest
import torch
from small import CHANNELS, close, scores_of, small_film, untrained_graph

from training.filters import EVIDENCE, FilterBank
from training.labels import LOOK_ROWS
from training.scoring import HALO_ROWS
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
    whole = scores_of(graph, film)
    for row in range(0, len(film), core):
        first = max(row - HALO_ROWS, 0)
        strip = scores_of(graph, film[first : row + core + HALO_ROWS])
        assert close(strip.score[row - first : row - first + core], whole.score[row : row + core])
        assert close(strip.expected[row - first : row - first + core], whole.expected[row : row + core])


def test_a_score_looks_no_further_than_its_halo_and_as_far_where_there_is_no_spike_to_doubt(graph, film):
    changed = film.copy()
    changed[20] *= np.linspace(0.5, 1.5, CHANNELS, dtype=np.float32)
    differs = (scores_of(graph, changed).score != scores_of(graph, film).score).any(1)
    assert np.flatnonzero(differs)[0] == 20 - HALO_ROWS + LOOK_ROWS


def test_vacuum_and_negative_counts_give_small_finite_scores(graph, film):
    odd = film.copy()
    odd[2:5, 2:5] = 0.0
    odd[10, 10] = -3.0
    odd[12, 12, 50:60] = -40.0
    scores = scores_of(graph, odd)
    assert np.isfinite(scores.score).all()
    assert np.isfinite(scores.expected).all()
    assert scores.score[3, 3] < 1.0


@pytest.mark.parametrize("channels", [16, 61, 240, 257, 500, 1024])
def test_any_number_of_channels_is_scored_at_its_own_resolution(channels):
    counts = np.random.default_rng(0).poisson(200, (4, 5, channels)).astype(np.float32)
    scores = scores_of(untrained_graph(channels), counts)
    assert scores.expected.shape == counts.shape
    assert scores.latent.shape == (4, 5, 3)
    np.testing.assert_allclose(scores.expected.sum(-1), counts.sum(-1), rtol=1e-4)
    assert (scores.energy_index < channels).all()


def whitened_evidence(residual, expected):
    bank = FilterBank(residual.size)
    one_pixel = [torch.from_numpy(x.astype(np.float32))[None, None, None] for x in (residual, expected)]
    strength = bank.strength(bank.standardised(bank(*one_pixel)[0], torch.ones(1, 1, 1, 1)))
    best = max(range(len(strength)), key=lambda i: float(strength[i].max()))
    return EVIDENCE[best], int(bank.channel_of[best][strength[best].argmax()]), float(strength[best].max())


def test_a_bump_of_counts_is_evidence_of_intensity_where_it_lies():
    e = np.arange(200)
    kind, at, strength = whitened_evidence(60 * np.exp(-0.5 * ((e - 71) / 3) ** 2), np.full(200, 400.0))
    assert kind.startswith("intensity")
    assert abs(at - 71) <= 1
    assert strength > 5


@pytest.mark.parametrize("moved", [-0.3, 0.3])
def test_a_moved_edge_is_evidence_of_shift_where_the_edge_is(moved):
    e = np.arange(200)

    def edge(at):
        return 400 + 2000 * np.exp(-0.5 * ((e - at) / 2.5) ** 2)

    kind, at, strength = whitened_evidence(edge(120 + moved) - edge(120), edge(120))
    assert kind.startswith("shift")
    assert abs(at - 120) <= 6
    assert strength > 5


def test_evidence_of_pure_counting_noise_has_unit_variance():
    rng = np.random.default_rng(0)
    mean = 300 + 2000 * np.exp(-0.5 * ((np.arange(150) - 90) / 3.0) ** 2)
    counts = rng.poisson(mean, (1, 40, 40, 150))
    bank = FilterBank(150)
    expected = torch.from_numpy(np.broadcast_to(mean, counts.shape).astype(np.float32))
    evidence, _ = bank(torch.from_numpy(counts.astype(np.float32)) - expected, expected)
    for name, z in zip(EVIDENCE, evidence, strict=True):
        # a shift filter shows something only where there is a slope
        near = (bank.channel_of[EVIDENCE.index(name)] - 90).abs() < 8
        spread = z[0, 1:-1, 1:-1].reshape(-1, z.shape[-1])[:, near].std(0).numpy()
        assert np.median(spread) == pytest.approx(1.0, abs=0.05), name


def test_windows_that_hold_no_edge_say_nothing_of_a_shift():
    rng = np.random.default_rng(0)
    mean = 300 + 2000 * np.exp(-0.5 * ((np.arange(150) - 90) / 3.0) ** 2)
    counts = torch.from_numpy(rng.poisson(mean, (1, 40, 40, 150)).astype(np.float32))
    bank = FilterBank(150)
    shift = bank(
        counts - torch.from_numpy(mean.astype(np.float32)), torch.from_numpy(mean.astype(np.float32)).expand_as(counts)
    )[0][3]
    far = (bank.channel_of[3] - 90).abs() > 40
    assert float(shift[..., far].abs().max()) < 0.1


def test_the_amount_of_a_moved_edge_is_its_shift_and_of_a_bump_its_counts():
    e = np.arange(CHANNELS)

    def edge(at):
        return 4000 + 40000 * np.exp(-0.5 * ((e - at) / 4.0) ** 2)

    graph = untrained_graph(mean=edge(60.0))
    graph.step_ev.fill_(0.8)
    counts = np.broadcast_to(edge(60.0), (9, 9, CHANNELS)).copy()
    before = scores_of(graph, counts)
    counts[4, 4] = edge(60.5)
    scores = scores_of(graph, counts)
    assert EVIDENCE[scores.kind[4, 4]].startswith("shift")
    value, error = scores.amount[4, 4]
    normal = before.amount[4, 4, 0] if EVIDENCE[before.kind[4, 4]] == EVIDENCE[scores.kind[4, 4]] else 0.0
    assert value - normal == pytest.approx(0.5 * 0.8, rel=0.3)
    assert 0 < error < 0.1
    first, last = scores.span[4, 4]
    assert first <= scores.energy_index[4, 4] <= last


@pytest.mark.parametrize("shift", [-3.6, -0.25, 0.0, 0.4, 2.0])
def test_a_row_is_moved_by_fractions_of_a_channel(shift):
    e = torch.arange(64.0)
    peak = torch.exp(-0.5 * ((e - 30) / 3) ** 2)
    moved = move(peak.expand(1, 2, 3, 64), torch.tensor([[shift, 0.0]]))
    wanted = torch.exp(-0.5 * ((e - 30 - shift) / 3) ** 2)
    assert torch.allclose(moved[0, 0], wanted.expand(3, 64), atol=5e-3)
    assert torch.allclose(moved[0, 1], peak.expand(3, 64))
