"""`eelswatch bench stream`: a short stream through the real service, its figures and their page."""

import json
import os

from tests.live import command


def test_a_short_stream_loses_nothing_and_its_figures_are_told_and_drawn(material, tmp_path):
    page = tmp_path / "stream.html"
    options = [
        "--model",
        material.model,
        "--rate",
        "1000",
        "--columns",
        "32",
        "--seconds",
        "1",
        "--html",
        page,
        "--json",
    ]
    told = json.loads(command("bench", "stream", *options, check=True).stdout)
    (row,) = told["rows"]
    assert (told["cores"], row["channels"], row["columns"]) == (os.cpu_count(), 120, 32)
    assert (row["received"], row["scored"], row["missing"]) == (992, 992, 0)
    assert 0 < row["p50_ms"] <= row["p99_ms"]
    assert row["p50_ms"] < row["page_p50_ms"] <= row["page_p99_ms"]
    rivals = {rival["what"] for rival in told["rivals"]}
    assert rivals >= {"eelswatch", "ORPCA (HyperSpy)", "the paper's network", "the paper's network, in batches"}
    assert "spectra/s sent" in page.read_text()
