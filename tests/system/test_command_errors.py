"""Wrong input: exit 1 for what failed, 2 for misuse, and exactly one line on stderr that says what to do."""

import numpy as np
import onnx
import pytest

from tests.live import command


def one_line(done, code):
    assert done.returncode == code, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.fixture
def no_map(tmp_path):
    path = tmp_path / "notes.dm3"
    path.write_text("this is no spectrum image")
    return path


@pytest.mark.parametrize("subcommand", ["inspect", "train", "score", "replay"])
def test_a_file_that_is_no_map(subcommand, no_map, material, tmp_path):
    arguments = {
        "inspect": ["inspect", no_map],
        "train": ["train", no_map, "-o", tmp_path / "run"],
        "score": ["score", material.model, no_map, "-o", tmp_path / "out.npz"],
        "replay": ["replay", no_map, "--bind", "tcp://127.0.0.1:*"],
    }[subcommand]
    assert "notes.dm3" in one_line(command(*arguments), 1)


def test_an_energy_window_outside_the_axis(material, tmp_path):
    message = one_line(command("train", material.file, "-o", tmp_path / "run", "--energy", "1000:1200"), 1)
    assert "820" in message


def test_a_model_without_a_card(material, tmp_path):
    bare = onnx.load(material.model)
    del bare.metadata_props[:]
    onnx.save(bare, tmp_path / "bare.onnx")
    for arguments in (
        ["score", tmp_path / "bare.onnx", material.file, "-o", tmp_path / "o.npz"],
        serving(tmp_path / "bare.onnx", tmp_path),
    ):
        assert "card" in one_line(command(*arguments), 1)


def test_a_card_of_another_graph(material, tmp_path):
    changed = onnx.load(material.model)
    changed.graph.name = "somebody else's"
    onnx.save(changed, tmp_path / "changed.onnx")
    assert "another graph" in one_line(command(*serving(tmp_path / "changed.onnx", tmp_path)), 1)


def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "no.onnx").write_bytes(b"nothing")
    assert "no ONNX model" in one_line(command(*serving(tmp_path / "no.onnx", tmp_path)), 1)


def test_a_port_in_use(serve, material, tmp_path):
    service, _ = serve()
    taken = service.url.removeprefix("http://").rstrip("/")
    done = command(*serving(material.model, tmp_path / "other", "--http", taken))
    assert done.returncode == 1
    assert "cannot be used" in done.stderr.strip().splitlines()[-1]
    done = command(*serving(material.model, tmp_path / "third", "--rescan", service.rescan))
    assert done.returncode == 1
    assert "cannot bind" in done.stderr.strip().splitlines()[-1]


def test_a_data_folder_that_another_monitor_holds(serve, material, tmp_path):
    serve()
    done = command(*serving(material.model, tmp_path / "data"))
    assert done.returncode == 1
    assert "another monitor" in done.stderr.strip().splitlines()[-1]


def test_a_map_whose_axis_does_not_cover_the_model(material, tmp_path):
    np.savez(tmp_path / "low.npz", counts=np.ones((8, 8, 50), np.uint16), offset_ev=0.0, step_ev=1.0)
    message = one_line(command("score", material.model, tmp_path / "low.npz", "-o", tmp_path / "o.npz"), 1)
    assert "the model wants" in message


@pytest.mark.parametrize(
    "arguments",
    [
        ["score"],
        ["score", "m.onnx", "f.npz", "-o", "o.npz", "--fdr", "0.1", "--false-flags", "1"],
        ["score", "m.onnx", "f.npz", "-o", "o.npz", "--false-flags", "-1"],
        ["score", "--nonsense"],
        ["nonsense"],
        ["--nonsense"],
        ["serve"],
        ["simulate", "-o", "x.npz", "--rows", "none"],
        ["simulate", "-o", "x.npz", "--scene", "none"],
        ["bench", "nothing"],
    ],
    ids=" ".join,
)
def test_misuse_is_one_line_and_exit_2(arguments, tmp_path):
    one_line(command(*arguments, cwd=tmp_path), 2)


@pytest.mark.parametrize(
    "wrong",
    [
        ["--fdr", "1.5"],
        ["--fdr", "0.1", "--false-flags", "1"],
        ["--false-flags", "0"],
        ["--mode", "push"],
        ["--stall", "inf"],
        ["--http", "nowhere"],
        ["--device", "tpu"],
    ],
    ids=" ".join,
)
def test_a_setting_out_of_its_range_is_misuse(wrong, material, tmp_path):
    one_line(command(*serving(material.model, tmp_path, *wrong)), 2)


def test_an_address_that_is_none_is_one_line_after_the_log(material, tmp_path):
    done = command(*serving(material.model, tmp_path, "--source", "nonsense"))
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("eelswatch: source 'nonsense' cannot be connected to")
    assert "Traceback" not in done.stderr


def test_help_names_every_command_and_its_units(material):
    from importlib.metadata import entry_points

    text = command("--help", check=True).stdout
    for entry in entry_points(group="eelswatch.commands"):
        assert entry.name in text
    assert "Spectra per second" in command("replay", "--help", check=True).stdout


def serving(model, folder, *options):
    return [
        "serve",
        "--model",
        model,
        "--source",
        "tcp://127.0.0.1:1",
        "--http",
        "127.0.0.1:0",
        "--data",
        folder,
        "--rescan",
        "tcp://127.0.0.1:*",
        *options,
    ]
