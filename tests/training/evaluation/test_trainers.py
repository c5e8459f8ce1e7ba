"""Models trained ahead of need, in processes of their own."""

from dataclasses import replace
from multiprocessing import active_children

import pytest

from monitor.core.errors import DataError
from monitor.sim.scene import Scene, window_of
from training.config import TrainConfig
from training.evaluation.recipe import Recipe
from training.evaluation.trainers import Trainers
from training.run import finished_record

SCENE = Scene(name="clean", rows=20, columns=24, energy=window_of(48))
TINY = Recipe(name="tiny", scene=SCENE, specimen=3, config=TrainConfig(steps=2))
ENDLESS = replace(TINY, name="endless", config=TrainConfig(steps=1_000_000, patience=1_000_000))


def trained(folder, *, begun, wanted):
    with Trainers(folder) as trainers:
        trainers.begin(begun)
        return [trainers.trained(recipe) for recipe in wanted]


def test_models_begun_ahead_and_those_asked_for_are_trained_as_their_recipes_say(tmp_path):
    asked = replace(TINY, name="asked", config=TrainConfig(steps=3))
    runs = trained(tmp_path, begun=[TINY], wanted=[TINY, asked, TINY])
    assert [run.name for run in runs] == ["tiny", "asked", "tiny"]
    assert [finished_record(run)[0].config["steps"] for run in runs] == [2, 3, 2]


def test_a_fault_of_a_training_is_raised_where_its_model_is_wanted_and_ends_the_others(tmp_path):
    blocked = replace(TINY, name="blocked")
    (tmp_path / "blocked").write_text("no folder")
    with pytest.raises(DataError, match="blocked"):
        trained(tmp_path, begun=[ENDLESS, blocked], wanted=[blocked])
    assert not active_children()
