import pytest

from monitor.core.errors import ConfigError
from training.config import TrainConfig, read_config


def test_a_file_is_overruled_by_overrides_and_these_by_options(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text("steps = 10\nbatch = 3\nseed = 1\n")
    config = read_config(file, ["batch=5", "seed=2"], options={"seed": 3, "energy": None})
    assert (config.steps, config.batch, config.seed, config.energy) == (10, 5, 3, None)


@pytest.mark.parametrize(
    ("override", "said"),
    [("stepz=3", "no setting 'stepz'"), ("steps=many", "setting steps: got 'many'"), ("beta=-1", "setting beta"),
     ("device=tpu", "setting device"), ("=4", "no setting ''")],
)  # fmt: skip
def test_what_is_not_understood_is_refused_in_one_line(override, said):
    with pytest.raises(ConfigError) as fault:
        read_config(None, [override], options={})
    assert said in str(fault.value)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize("content", [b"steps = ", b"\xff\xfe"])
def test_a_settings_file_that_is_no_toml_is_refused_in_one_line(tmp_path, content):
    file = tmp_path / "run.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as fault:
        read_config(file, [], options={})
    assert "run.toml" in str(fault.value)
    assert "\n" not in str(fault.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path / "nowhere.toml", [], options={})


def test_settings_cannot_be_changed_once_read():
    with pytest.raises(ValueError, match="frozen"):
        TrainConfig().steps = 3
