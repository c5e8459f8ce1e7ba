import json
import re

import pytest

from monitor.core.errors import DataError, UsageError
from monitor.files.spectrum_image import write_spectrum_image
from monitor.sim.acquisition import acquire
from monitor.sim.scene import Scene, window_of
from training.command import train
from training.evaluation import plan as plans
from training.evaluation.command import evaluate
from training.evaluation.comparison import not_ahead
from training.evaluation.plan import Plan
from training.evaluation.report import verdict
from training.evaluation.results import Comparison, Figure, MethodFigures
from training.evaluation.sweeps import settings_of

TINY = Plan(
    name="tiny",
    rows=20,
    columns=24,
    channels=48,
    steps=2,
    replicates=2,
    shifts_ev=(2.4,),
    shares=(0.016,),
    radii_px=(1,),
    trained_sweeps=("latent", "network", "contaminated"),
    latents=(2,),
    paper_steps=3,
    paper_size=16,
    paper_channels=1060,
    slow_baselines=False,
)


@pytest.fixture(scope="module")
def clean_map(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "clean.npz"
    scene = Scene(name="clean", rows=20, columns=24, energy=window_of(60))
    write_spectrum_image(path, acquire(scene, 1).image)
    return path


@pytest.fixture(scope="module")
def run(clean_map):
    folder = clean_map.parent / "run"
    train([str(clean_map), "steps=2"], output=folder, quiet=True)
    return folder


def test_one_command_writes_a_page_and_the_same_results_as_json(run, clean_map, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(plans, "QUICK", TINY)
    evaluate([str(run)], output=tmp_path / "report.html", quick=True, clean_map=clean_map, quiet=True)
    assert capsys.readouterr() == ("", "")
    results = json.loads((tmp_path / "report.json").read_text())
    page = (tmp_path / "report.html").read_text()

    assert results["schema"] == "eelswatch.evaluation/1"
    assert len(results["scenes"]) == 6
    for scene in results["scenes"]:
        roles = [method["role"] for method in scene["methods"]]
        assert (roles.count("ours"), roles.count("given"), roles.count("limit")) == (1, 1, 1)
        assert roles.count("baseline") == 10, "five of them, fitted on a clean map and on the map itself"
    assert {row["source"] for row in results["paper"]} == {"published", "as the paper", "mended"}
    assert all(len(row["f1"]) == 8 for row in results["paper"])
    assert [curve["dose"] for curve in results["calibration"]] == [0.25, 1.0, 4.0]
    assert [len(c["methods"]) for c in results["own"]] == [6, 6], "one shift, as a roll and as a true one"
    sweeps = {sweep["name"]: sweep for sweep in results["sweeps"]}
    assert len(sweeps["latent"]["points"]) == len(sweeps["contaminated"]["points"]) == 2
    assert sweeps["dose"]["why_not"] == "left out of the tiny plan"
    assert [point["title"].split(", single")[0] for point in sweeps["network"]["points"]] == [
        "model=cvae, width=8, steps=2", "model=paper, width=4, steps=3"
    ]  # fmt: skip

    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page), "nothing comes from elsewhere"
    assert "Bokeh" in page
    assert "NOT ahead of a baseline at" in page
    assert re.search(r"PCA&#x27;s F1 is as high or higher at (none|[\d.]+)", page)
    for text in ("likelihood ratio", "Poisson PCA-5", "0.857", "clean.npz: a true shift by 16 eV"):
        assert text in page, text


def test_the_losses_are_swept_beside_the_one_it_is_trained_with():
    changed = [TINY.settings(**settings).loss for settings in settings_of(TINY, "loss")]
    assert [TINY.settings().loss, *changed] == ["elbo", "ce", "mse"]


def figures(name, role, found):
    return MethodFigures(
        method=name,
        role=role,
        fit="",
        score="s",
        auc=Figure(value=0.9),
        found=Figure(value=found),
        f1=None,
        precision=None,
        recall=None,
        ashman_d=None,
        bimodality=None,
        curve=[],
    )


def test_the_report_says_where_a_baseline_is_as_good():
    def scene(title, ours, other):
        methods = [figures("3D-CVAE", "ours", ours), figures("RX", "baseline", other), figures("LR", "limit", 1.0)]
        return Comparison(title=title, seeds=[1], pixels=9, anomalous=1, methods=methods)

    clauses = not_ahead([scene("discs", 0.9, 0.8), scene("pixels", 0.5, 0.5)])
    assert clauses == ["pixels (RX, s: 0.500; 3D-CVAE: 0.500)"]
    assert "NOT ahead of a baseline at: pixels" in verdict(clauses)
    assert "finds more than every baseline" in verdict([])


def test_wrong_input_is_told_before_anything_is_trained(run, clean_map, tmp_path):
    report = tmp_path / "report.html"
    for error, message, arguments in (
        (UsageError, "--map is for the models given", {"models": [], "output": report, "clean_map": clean_map}),
        (UsageError, r"would go to report\.pdf; wanted a \.html", {"models": [], "output": tmp_path / "report.pdf"}),
        (DataError, "has no folder", {"models": [], "output": tmp_path / "no" / "report.html"}),
        (DataError, "does not exist; wanted the folder of a training run or", {"models": ["x"], "output": report}),
        (DataError, "is not a training run", {"models": [str(tmp_path)], "output": report}),
        (
            DataError,
            "does not exist; wanted a spectrum image",
            {"models": [str(run)], "output": report, "clean_map": tmp_path / "no.npz"},
        ),
    ):
        with pytest.raises(error, match=message) as raised:
            evaluate(**arguments, quick=True)
        assert "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []
