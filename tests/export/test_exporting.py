import hashlib
import json

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

import export.export
from export.command import export as export_command
from export.export import card_path, export_run
from export.parity import LARGEST
from export.to_onnx import to_onnx
from monitor.core.errors import ConfigError, DataError, ModelError
from monitor.core.model_card import METADATA_KEY, WHOLE_ROW, read_card
from monitor.core.model_file import graph_sha256
from monitor.core.resampling import resampler
from monitor.io.graph import Graph
from monitor.io.scorer import load_scorer
from training.config import TrainConfig
from training.fresh import new_graph
from training.scoring import Scores
from training.train import load_graph


@pytest.fixture(scope="module")
def model(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "film.onnx"
    export_run(run, path)
    return path


@pytest.fixture(scope="module")
def session(model):
    return ort.InferenceSession(model, providers=["CPUExecutionProvider"])


def scored(session, counts, **more):
    return Scores(*session.run(list(Scores._fields), {"counts": counts.astype(np.float32)} | more))


def test_the_file_has_the_names_types_and_free_sizes_that_were_promised(session):
    (counts,) = session.get_inputs()
    assert (counts.name, counts.type, counts.shape) == ("counts", "tensor(float)", ["batch", "row", "column", 300])
    every = {output.name: (output.type, output.shape[:3]) for output in session.get_outputs()}
    outputs = {name: output for name, output in every.items() if not name.startswith("carried_")}
    free = ["batch", "scored_row", "column"]
    assert outputs == {
        "score": ("tensor(float)", free),
        "energy_index": ("tensor(int64)", free),
        "kind": ("tensor(int64)", free),
        "expected": ("tensor(float)", free),
        "latent": ("tensor(float)", free),
        "label": ("tensor(int64)", free),
        "span": ("tensor(int64)", free),
        "amount": ("tensor(float)", free),
        "drift": ("tensor(float)", free[:2]),
    }


def test_the_file_is_whole_and_valid_at_opset_18_or_later(model):
    onnx.checker.check_model(model, full_check=True)
    proto = onnx.load(model, load_external_data=False)
    assert next(entry.version for entry in proto.opset_import if entry.domain == "") >= 18
    assert not any(tensor.external_data for tensor in proto.graph.initializer)
    assert sorted(path.name for path in model.parent.iterdir()) == ["film.card.json", "film.onnx"]


def test_the_card_comes_back_from_the_file_and_stands_beside_it(model, session, run):
    text = session.get_modelmeta().custom_metadata_map[METADATA_KEY]
    card = read_card(text, where=model.name)
    assert read_card(card_path(model).read_text(), where="beside") == card
    assert json.loads(text)["schema"] == "eelswatch.card/1"
    assert card.halo == (load_graph(run)[0].halo_rows, WHOLE_ROW)
    assert card.labels == ["", "spike", "vacuum", "saturated"]
    assert card.energy.size == 300
    assert 0 <= card.parity <= LARGEST
    assert card.training.inputs[0].sha256 == hashlib.sha256((run.parent / "film.npz").read_bytes()).hexdigest()


def test_the_card_names_the_graph_by_its_own_bytes(model):
    proto = onnx.load(model)
    card = read_card(card_path(model).read_text(), where="beside")
    assert card.sha256 == graph_sha256(model.read_bytes())
    assert card.sha256 == hashlib.sha256(proto.graph.SerializeToString()).hexdigest()


@pytest.mark.parametrize("size", [(1, 1, 1), (1, 2, 7), (3, 5, 1), (2, 9, 11)])
def test_onnx_runtime_says_what_pytorch_says_at_any_size_and_with_holes(session, run, film, size):
    graph, _, _ = load_graph(run)
    batch, rows, columns = size
    counts = np.stack([film.counts[i : i + rows, i : i + columns] for i in range(batch)]).astype(np.float32)
    counts[0, -1, 0] = np.nan
    theirs = scored(session, counts)
    with torch.inference_mode():
        ours = graph(torch.from_numpy(counts))
    for name in Scores._fields:
        a, b = getattr(theirs, name), getattr(ours, name).numpy()
        assert np.array_equal(np.isnan(a), np.isnan(b)), name
        assert (np.nan_to_num(abs(a - b)) <= 1e-3 * np.maximum(1, np.nan_to_num(abs(b)))).all(), name


def strips_that_differ(session, counts, *, core, halo):
    """First rows of the strips whose scores are not those of the whole map, bit for bit; with and without `halo`."""
    whole, differ = scored(session, counts[None]), []
    for row in range(0, len(counts), core):
        first = max(row - halo, 0)
        around = counts[None, first : row + core + halo]
        below = max(min(row + core + halo, len(counts)) - (row + core), 0)
        strip, own = scored(session, around), scored(session, around, halo=np.array([row - first, below]))
        for name in ("score", "energy_index", "kind", "label", "amount"):
            parts = getattr(strip, name)[0, row - first : row - first + core], getattr(own, name)[0]
            wanted = getattr(whole, name)[0, row : row + core]
            if not all(np.array_equal(part, wanted, equal_nan=True) for part in parts):
                differ.append((row, name))
    return differ


def test_expected_spectra_that_are_not_asked_for_are_empty_and_the_rest_is_the_same(session, film):
    whole, rest = (scored(session, film.counts[None], explain=np.array(asked)) for asked in (True, False))
    assert rest.expected.size == 0
    for name in set(Scores._fields) - {"expected"}:
        np.testing.assert_array_equal(getattr(whole, name), getattr(rest, name))


@pytest.mark.parametrize("core", [1, 4, 8])
def test_a_strip_scores_as_its_map_to_the_last_bit(session, run, holed_film, core):
    assert strips_that_differ(session, holed_film, core=core, halo=load_graph(run)[0].halo_rows) == []


@pytest.mark.parametrize("pixels", [70, 400])
def test_strips_filled_up_to_one_size_as_for_a_graphics_card_score_the_same(model, film, monkeypatch, pixels):
    scorer, same = load_scorer(model, "cpu"), resampler(film.energy, film.energy)
    received = np.ones(film.counts.shape[:2], bool)

    def scores(card_pixels):
        monkeypatch.setattr("monitor.io.scorer.PIXELS_PER_CUDA_CALL", card_pixels)
        return [scorer.score(strip) for strip in scorer.strips(film.counts, received, same, pixels=pixels)]

    plain = scores(pixels)
    monkeypatch.setattr(Graph, "on_cuda", True)
    rows, of_rows = [], Graph.of_rows
    monkeypatch.setattr(Graph, "of_rows", lambda graph, *of: rows.append(len(of[1])) or of_rows(graph, *of))
    scorer.warm_up()
    for on_card, on_cpu in zip(scores(200), plain, strict=True):
        np.testing.assert_array_equal(on_card.score, on_cpu.score)
        np.testing.assert_array_equal(on_card.label, on_cpu.label)
        np.testing.assert_array_equal(on_card.kind, on_cpu.kind)
    assert {(each - 2 * scorer.card.halo[0]) % 10 for each in rows[1:]} == {0}, (
        "filled up to 200 pixels or twice as many"
    )


@pytest.mark.parametrize(
    "settings", [{"width": 24}, {"latent": 200}, {"model": "paper"}, {"model": "paper", "coarse_limit": 150}], ids=str
)
def test_so_it_does_with_other_widths_and_networks(film, holed_film, settings):
    graph = new_graph(film.energy, TrainConfig(**settings))
    graph.set_mean(torch.from_numpy(np.nanmean(holed_film, (0, 1))))
    graph.cvae.input_scale.fill_(10.0)
    session = ort.InferenceSession(to_onnx(graph), providers=["CPUExecutionProvider"])
    assert strips_that_differ(session, holed_film, core=4, halo=graph.halo_rows) == []


def test_a_file_that_differs_from_pytorch_fails_the_export_and_nothing_is_left(run, tmp_path, monkeypatch):
    def slightly_wrong(graph):
        with torch.no_grad():
            graph.cvae.log_mean[::2] += 0.01
        model = to_onnx(graph)
        with torch.no_grad():
            graph.cvae.log_mean[::2] -= 0.01
        return model

    monkeypatch.setattr(export.export, "to_onnx", slightly_wrong)
    with pytest.raises(ModelError, match="differs from PyTorch"):
        export_run(run, tmp_path / "film.onnx")
    assert list(tmp_path.iterdir()) == []


def test_no_model_comes_of_another_suffix_or_of_no_run(run, tmp_path):
    with pytest.raises(ConfigError, match=r"ends in \.onnx"):
        export_run(run, tmp_path / "film.pt")
    with pytest.raises(DataError, match="eelswatch train"):
        export_run(tmp_path, tmp_path / "film.onnx")
    with pytest.raises(DataError, match="cannot be written"):
        export_run(run, tmp_path / "nowhere" / "film.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_it_wrote_in_one_line_or_as_the_card(run, tmp_path, capsys):
    export_command(run, output=tmp_path / "film.onnx")
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert "300 channels" in said
    export_command(run, output=tmp_path / "film.onnx", as_json=True)
    assert json.loads(capsys.readouterr().out) == json.loads(card_path(tmp_path / "film.onnx").read_text())
