import numpy as np
import pytest
import torch
from scipy.stats import chi2, truncnorm
from small import CHANNELS, untrained_graph

from monitor.core.axes import EnergyAxis
from training.absorption import left_of
from training.bank import AGREEMENT, HEARD, LIFTED, FilterBank
from training.drift import along_rows, of_pixels
from training.edge_shapes import every_edge, may_be_too_few, named_edges
from training.families import FAMILIES
from training.filters import pooled, unit, windows
from training.latent_distance import LatentDistance
from training.levels import DOSES, Levels
from training.mixtures import Mixtures
from training.moved_edges import WINDOWS, MovedEdges
from training.shift import move

N, STEP_EV = 150, 1.0
ENERGY = np.arange(N)
USUAL_DOSE = torch.ones(1)


def with_edge(at, height=2000.0):
    return 300 + height * np.exp(-0.5 * ((ENERGY - at) / 3.0) ** 2)


def tensor(x):
    return torch.from_numpy(np.asarray(x, dtype=np.float32))


def bank_for(spectra):
    bank = FilterBank(EnergyAxis(offset_ev=0.0, step_ev=STEP_EV, size=N), 3)
    bank.moved.look_at(tensor(spectra))
    bank.tabulate()
    return bank


def evidence_of(bank, counts, expected):
    expected = tensor(np.broadcast_to(expected, counts.shape))
    sigma = expected.sqrt()
    valid, total = torch.ones(counts.shape[:3]), torch.ones(*counts.shape[:3], 1)
    own = bank.own(tensor(counts) - expected, expected, sigma, total)
    return bank(*own, valid, torch.zeros(*counts.shape[:3], 3))


@pytest.mark.parametrize("kind", ["windows", "edges"])
@pytest.mark.parametrize("step_ev", [0.1, 0.8, 3.0, -0.8])
def test_every_filter_has_unit_norm_and_says_where_it_looks(kind, step_ev):
    axis = EnergyAxis(offset_ev=560.0, step_ev=step_ev, size=N)
    columns, at, half = windows(N, abs(step_ev)) if kind == "windows" else every_edge(axis)
    assert torch.allclose(columns.norm(dim=0), torch.ones(columns.shape[1]))
    assert ((at >= 0) & (at < N) & (half >= 0)).all()
    assert columns.gather(0, at[None]).min() > 0


def test_evidence_of_pure_counting_noise_has_unit_variance():
    mean = with_edge(90)
    found = evidence_of(bank_for(mean[None]), np.random.default_rng(0).poisson(mean, (1, 40, 40, N)), mean)
    cut = np.sqrt(truncnorm(-HEARD, HEARD).var() * chi2(1).cdf(HEARD**2) + HEARD**2 * chi2(1).sf(HEARD**2))
    for z, wanted in zip(found.linear, (1.0, cut, 1.0, cut), strict=True):  # sums hear no channel beyond HEARD
        spread = z[0, 1:-1, 1:-1].reshape(-1, z.shape[-1]).std(0)
        assert float(spread.median()) == pytest.approx(wanted, abs=0.05)
    used = bank_for(mean[None]).moved.box.sum(0) > 0
    for z in found.shift:
        spread = z[0, 1:-1, 1:-1].reshape(1444, -1, WINDOWS).std(0)[:, used]
        assert float(spread.max()) == pytest.approx(1.0, abs=0.1)


def test_windows_that_hold_no_edge_are_not_looked_into():
    moved = MovedEdges(N, STEP_EV)
    moved.look_at(tensor(with_edge(90)[None]))
    used = moved.box.sum(0) > 0
    assert used.any()
    assert ((moved.edge_at[used] - 90).abs() < 8).all()


def test_a_neighbour_gets_too_little_to_be_flagged_of_what_its_neighbour_shows():
    mean = with_edge(90)
    bank = bank_for(mean[None])
    counts = np.broadcast_to(mean, (1, 7, 7, N)).copy()
    counts[0, 3, 3] = with_edge(93)
    strength = bank.peaks(evidence_of(bank, counts, mean), USUAL_DOSE).strength[0].amax(-1)
    assert strength[3, 3] > 10
    assert strength.flatten().sort().values[-2] <= max(LIFTED)


def test_neighbours_that_agree_lift_a_pixel_whose_own_noise_hides_a_weak_defect():
    mean = with_edge(90)
    bank = bank_for(mean[None])
    weak = mean + 0.02 * (with_edge(93) - mean)
    counts = np.broadcast_to(weak, (1, 7, 7, N)).copy()
    counts[0, 3, 3] = mean
    found = evidence_of(bank, counts, mean)
    of_shift = slice(FAMILIES.index("shift"), FAMILIES.index("shift 3x3") + 1)
    bank.levels.scale.copy_(torch.tensor([[0.9], [1.0], [1.1]]).expand_as(bank.levels.scale))
    for dose, scale in zip(DOSES, (0.9, 1.0, 1.1), strict=True):
        lifted = LIFTED[of_shift][1] * scale
        alone, together = bank.peaks(found, torch.tensor([dose])).strength[0, ..., of_shift].unbind(-1)
        assert alone[3, 3] < 0.1 < lifted / AGREEMENT < alone[1, 1]
        assert float(together[3, 3]) == pytest.approx(lifted)
        assert lifted < AGREEMENT * alone[1, 1] * 0.9 < together[1, 1] <= AGREEMENT * alone[1, 1] + 1e-3


def test_what_the_usual_variation_explains_is_taken_out_and_a_shift_is_not():
    rng = np.random.default_rng(0)
    share = rng.uniform(0, 1, (500, 1)) * with_edge(40) + rng.uniform(0.5, 1, (500, 1)) * with_edge(110)
    share = tensor(share / share.sum(1, keepdims=True))
    mixtures = Mixtures(N)
    mixtures.learn_expected(share, 1e5)
    dose = torch.ones(1)
    usual = (share[0] - share[1]) * 1e5
    moved = tensor(with_edge(42) - with_edge(40))
    assert mixtures(usual[None], dose).norm() < 0.1 * usual.norm()
    assert mixtures(moved[None], dose).norm() > 0.7 * moved.norm()


def test_evidence_counts_less_the_farther_a_mixture_is_beyond_those_of_the_training():
    def shares(weight):
        spectra = np.asarray(weight)[:, None] * with_edge(40) + with_edge(110)
        return tensor(spectra / spectra.sum(1, keepdims=True))

    known = shares(np.random.default_rng(3).uniform(0.4, 0.6, 500))
    mixtures, total = Mixtures(N), torch.tensor([[1e5]])
    assert (mixtures.doubt(known, total, (1, 9, 0)) == 1).all(), "of nothing before it has learned"
    mixtures.learn_expected(known, 1e5)
    mixtures.learn_reach(known)
    inside, beyond, farther = (mixtures.doubt(shares([w]), total, (1, 9, 0))[0] for w in (0.45, 0.8, 1.1))
    assert (inside == 1).all()
    assert 1 < beyond[0] < beyond[1] < farther[1]
    assert beyond[2] == farther[2] == 1
    assert (mixtures.doubt(shares([0.8]), total / 4, (1,)) < beyond[0]).all(), "where noise is larger it tells less"


def test_a_few_anomalies_are_no_usual_variation():
    rng = np.random.default_rng(1)
    share = rng.uniform(0.2, 1, (600, 1)) * with_edge(40) + with_edge(110)
    share[:12] = with_edge(40) + with_edge(112)
    mixtures = Mixtures(N)
    mixtures.learn_expected(tensor(share / share.sum(1, keepdims=True)), 1e5)
    moved = tensor(with_edge(112) - with_edge(110))
    assert mixtures(moved[None], torch.ones(1)).norm() > 0.7 * moved.norm()


def test_faint_changes_of_thickness_are_learned_from_the_residuals():
    rng = np.random.default_rng(2)
    spectrum = with_edge(60)
    thicker = np.convolve(spectrum, np.exp(-0.5 * ((np.arange(-60, 61) - 22) / 6.0) ** 2), mode="same")
    change = thicker / thicker.sum() - spectrum / spectrum.sum()
    change = change / np.sqrt(spectrum)
    change /= np.linalg.norm(change)
    residual = rng.normal(size=(8000, 1)) * 6 * change + rng.normal(size=(8000, N))
    mixtures = Mixtures(N)
    spectra = tensor(np.stack([spectrum, with_edge(100)]))
    mixtures.learn_left(tensor(residual), 9, spectra / spectra.sum(1, keepdim=True), STEP_EV)
    assert mixtures(tensor(change[None]) * mixtures.usual.sqrt(), torch.ones(1)).norm() < 0.4 * mixtures.usual[0].sqrt()
    mixtures.learn_left(tensor(rng.normal(size=(8000, N))), 9, spectra / spectra.sum(1, keepdim=True), STEP_EV)
    assert mixtures.signal.max() == 0


def test_what_the_network_leaves_of_thinner_places_is_taken_out_as_far_as_it_stands_out():
    rng = np.random.default_rng(5)
    bias = with_edge(60) - with_edge(100)
    bias /= np.linalg.norm(bias)
    mixtures = Mixtures(N)
    mixtures.learn_thinner(tensor(6 * bias + rng.normal(size=(20000, N))), 9)
    seen = tensor(bias[None]) * mixtures.usual.sqrt()
    left = [float(mixtures(seen, torch.full((1,), dose)).norm() / seen.norm()) for dose in (0.25, 1.0, 4.0)]
    assert left == pytest.approx([1 / (1 + dose * 6**2 / 9) for dose in (0.25, 1.0, 4.0)], abs=0.05)
    mixtures.learn_thinner(tensor(rng.normal(size=(20000, N))), 9)
    assert mixtures.signal[-1] < 0.01


def test_a_latent_is_far_where_no_cluster_is_near():
    rng = np.random.default_rng(3)
    latent = np.concatenate([rng.normal(c, 0.1, (400, 3)) for c in (-2.0, 0.0, 2.0)])
    share = np.exp(0.1 * latent @ rng.normal(size=(3, N)))
    distance = LatentDistance(3, N)
    distance.learn(tensor(latent), tensor(share / share.sum(1, keepdims=True)))
    clean, _ = distance(tensor(latent)[None, None])
    between, _ = distance(tensor([[[[1.0, 1.0, 1.0]]]]))
    assert float(clean.median()) < 3
    assert float(between) > float(clean.max())


@pytest.mark.parametrize("drift", [-2.2, 0.0, 0.7, 1.5])
def test_a_row_that_moved_as_a_whole_is_followed_and_some_moved_pixels_are_no_drift(drift):
    rng = np.random.default_rng(4)
    row = np.broadcast_to(with_edge(70 + drift), (40, N)).copy()
    row[::8] = with_edge(70 + drift + 3)
    counts = tensor(rng.poisson(row * 20))[None, None]
    before = tensor(np.broadcast_to(with_edge(70), (40, N)) * 20)[None, None]
    valid = torch.ones(1, 1, 40)
    followed, _ = along_rows(counts, valid, before, torch.ones(1, 1, 1, 1), torch.zeros(1, 1))
    expected = tensor(np.broadcast_to(with_edge(70 + float(followed)) * 20, (40, N)))[None, None]
    left, nudged = of_pixels(counts, valid, expected, expected.sum(-1, keepdim=True), 1.0)
    assert float(nudged.sum()) == pytest.approx(float(expected.sum()), rel=1e-3)
    assert float(followed + left) == pytest.approx(drift, abs=0.12)


@pytest.mark.parametrize("drift", [-3.0, -1.2, 2.0])
def test_more_counts_in_the_window_for_a_steep_background_are_no_drift_back(drift):
    def spectrum(moved):
        return 1e4 * ((ENERGY - moved + 300) / 300) ** -3 + with_edge(90 + moved, 4000.0)

    before, counts = (tensor(np.broadcast_to(spectrum(by), (1, 1, 40, N))) for by in (0.0, drift))
    valid, total = torch.ones(1, 1, 40), counts.sum(-1, keepdim=True)
    share = before / before.sum(-1, keepdim=True)
    followed, kept = along_rows(counts, valid, share, total, torch.zeros(1, 1))
    assert float(followed) == pytest.approx(drift, abs=0.02)
    expected = move(share, followed) * total * kept[..., None, None]
    assert float(expected.sum()) == pytest.approx(float(counts.sum()), rel=1e-4)


@pytest.mark.parametrize(("width", "background"), [(0.7, 1e-2), (0.7, 1e-3), (1.0, 1e-5)])
def test_a_line_as_sharp_as_a_channel_on_next_to_nothing_is_followed(width, background):
    def spectrum(moved):
        return np.exp(-0.5 * ((ENERGY - 70 - moved) / width) ** 2) + background

    for drift in (-1.6, -0.5, 0.3, 1.2):
        before, counts = (tensor(np.broadcast_to(spectrum(by), (1, 1, 64, N))) for by in (0.0, drift))
        total = torch.full((1, 1, 64, 1), 1e5)
        share, counts = (each / each.sum(-1, keepdim=True) for each in (before, counts))
        followed, _ = along_rows(counts * total, torch.ones(1, 1, 64), share, total, torch.zeros(1, 1))
        assert float(followed) == pytest.approx(drift, abs=0.35)


def test_pooling_adds_up_three_by_three_and_nothing_beyond_the_map():
    x = torch.arange(20.0).reshape(1, 4, 5, 1)
    by_hand = torch.nn.functional.conv2d(x.permute(0, 3, 1, 2), torch.ones(1, 1, 3, 3), padding=1).permute(0, 2, 3, 1)
    assert torch.equal(pooled(x), by_hand)


def test_families_are_level_at_every_dose_that_was_looked_at_and_between_them():
    levels = Levels(7)
    levels.middle.copy_(torch.arange(1.0, 1 + levels.middle.numel()).reshape(levels.middle.shape))
    for row, dose in enumerate(DOSES):
        assert torch.allclose(levels(levels.middle[row], torch.tensor([dose])), torch.zeros(7), atol=1e-4)
    half_way = levels((levels.middle[1] + levels.middle[2]) / 2, torch.tensor([2.0]))
    assert torch.allclose(half_way, torch.zeros(7), atol=1e-4)


def test_an_elements_edge_is_about_its_onset_on_an_axis_either_way():
    up = EnergyAxis(offset_ev=500.0, step_ev=0.5, size=300)
    down = EnergyAxis(offset_ev=500.0 + 299 * 0.5, step_ev=-0.5, size=300)
    (shapes, at, _), (mirrored, at_down, _) = every_edge(up), every_edge(down)
    assert torch.allclose(shapes, mirrored.flip(0), atol=1e-5)
    assert torch.allclose(torch.from_numpy(up.at(at.numpy())), torch.from_numpy(down.at(at_down.numpy())), atol=0.6)
    chromium = shapes[:, (torch.from_numpy(up.at(at.numpy())) - 575.4).abs().argmin()]
    assert abs(float(up.at(int(chromium.argmax()))) - 575) < 1.0


def test_there_cannot_be_too_little_of_an_element_that_no_spectrum_has():
    axis = EnergyAxis(offset_ev=500.0, step_ev=0.5, size=300)
    energy = axis.energies_ev()
    spectrum = (energy / 500) ** -3 * (1 + 0.2 * (energy > 532))
    names = [name for name, _ in named_edges(axis)]
    may = dict(zip(names, may_be_too_few(axis, tensor(spectrum[None]))[-len(names) :].tolist(), strict=True))
    assert may == {name: float(name == "O K") for name in names}
    assert {"O K", "Cr L3", "Mn L3"} <= set(names)
    bank = FilterBank(axis, 3)
    bank.too_few.copy_(may_be_too_few(axis, tensor(spectrum[None])))
    lost = tensor(np.broadcast_to(1e4 * spectrum, (1, 5, 5, 300)).copy())
    chromium = bank.edges[:, -len(names) + names.index("Cr L3")]
    found = evidence_of(bank, lost - 100 * chromium, 1e4 * spectrum)
    chosen = int(bank.peaks(found, USUAL_DOSE).chosen[0, 2, 2, 3])
    assert chosen != bank.edges.shape[1] - len(names) + names.index("Cr L3")


def test_what_is_left_of_a_change_is_found_better_than_the_change_and_its_amount_is_true():
    graph = untrained_graph(step_ev=2.0)
    spectrum = torch.ones(CHANNELS) / CHANNELS
    graph.bank.mixtures.direction[:, 0] = unit(torch.sin(torch.arange(CHANNELS) / 25.0)[:, None])[:, 0]
    graph.bank.mixtures.signal[0] = 1e6
    left, added = left_of(graph, spectrum[None], graph.bank.edges)
    noise = (spectrum * graph.cvae.usual_total).sqrt()
    before = graph.bank.edges.clone()
    graph.bank.learn_edges(left, added, noise)
    size = left.norm(dim=0)
    assert ((left * graph.bank.edges).sum(0) >= (left * before).sum(0) - 1e-4).all()
    at = graph.bank.edges.shape[1] // 2
    told = size * graph.bank.edge_counts * noise[every_edge(graph.architecture.coarse_energy)[1]]
    assert float(told[at]) == pytest.approx(float(added[at]), rel=1e-3)
