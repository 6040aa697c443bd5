"""Recipes contain every hyperparameter of a fit, and are immutable."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.neural_network import MLPClassifier

from tests.training.tiny import SCHEDULE
from training.augmentation import Augmentation
from training.recipes import LECTURE, QUICK, RECIPES, RECORD, Schedule, schedule_settings


def test_lecture_recipe_has_the_lectures_hyperparameters() -> None:
    """The recipe is the lecture's call of MLPClassifier, in float64."""
    expected = {
        "hidden_layer_sizes": (50,),
        "max_iter": 10,
        "alpha": 1e-4,
        "solver": "sgd",
        "tol": 1e-4,
        "random_state": 1,
        "learning_rate_init": 0.1,
    }

    assert expected == LECTURE.settings()["estimator"]
    assert "float64" == LECTURE.settings()["dtype"]
    assert LECTURE.schedule is None


def test_recipe_is_found_by_its_name() -> None:
    """Every recipe has the name of its key, and a purpose."""
    assert list(RECIPES) == [recipe.name for recipe in RECIPES.values()]
    assert all(recipe.purpose for recipe in RECIPES.values())


@pytest.mark.parametrize("name", RECIPES)
def test_estimator_settings_are_those_of_scikit_learn(name: str) -> None:
    """MLPClassifier has every setting of every recipe, and none is set that the schedule sets."""
    scheduled = {"max_iter", "shuffle", "warm_start", "random_state"} if RECIPES[name].schedule else set()

    assert set(RECIPES[name].estimator) <= set(MLPClassifier().get_params()) - scheduled


@pytest.mark.parametrize("name", RECIPES)
def test_settings_can_be_stored_as_json(name: str) -> None:
    """Settings are the same after JSON, but for tuples, which JSON does not have."""
    record = RECIPES[name].settings()

    back = json.loads(json.dumps(record))
    back["estimator"]["hidden_layer_sizes"] = tuple(back["estimator"]["hidden_layer_sizes"])

    assert record == back


def test_settings_contain_the_whole_schedule() -> None:
    """The settings of a recipe with a schedule contain every field of the schedule and its augmentation."""
    how = Augmentation(
        rotation=1, shear=2, scaling=0.3, shift=4, elastic=5, smoothness=6, bend=7, squared=0.4,
        thickness=0.7, gamma=0.8, broken=0.9, noisy=0.1, noise=0.11,
    )  # fmt: skip
    schedule = Schedule(
        epochs=7,
        n_validation=8,
        augmentation=how,
        synthetic_share=0.9,
        picture_share=0.6,
        weight_decay=0.3,
        final_phase=0.1,
        final_strength=0.2,
        averaging_phase=0.05,
    )
    expected = {
        "epochs": 7,
        "n_validation": 8,
        "augmentation": {
            "rotation": 1,
            "shear": 2,
            "scaling": 0.3,
            "shift": 4,
            "elastic": 5,
            "smoothness": 6,
            "bend": 7,
            "squared": 0.4,
            "thickness": 0.7,
            "gamma": 0.8,
            "broken": 0.9,
            "noisy": 0.1,
            "noise": 0.11,
        },
        "synthetic_share": 0.9,
        "picture_share": 0.6,
        "weight_decay": 0.3,
        "final_phase": 0.1,
        "final_strength": 0.2,
        "averaging_phase": 0.05,
    }

    record = replace(QUICK, schedule=schedule).settings()

    assert expected == record["schedule"]
    assert "float32" == record["dtype"]
    assert LECTURE.settings()["schedule"] is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"n_validation": 0},
        {"synthetic_share": -0.1},
        {"averaging_phase": 1.1},
        {"final_phase": 1.1},
        {"picture_share": 1.1},
        {"final_strength": -0.1},
        {"final_strength": float("nan")},
    ],
    ids=repr,
)
def test_schedule_out_of_range_is_rejected(wrong: dict[str, Any]) -> None:
    """Numbers out of range raise an error that names the field."""
    sound: dict[str, Any] = {"epochs": 1, "n_validation": 1, "augmentation": Augmentation()}
    Schedule(**sound, synthetic_share=2.5, averaging_phase=1, final_strength=0)

    with pytest.raises(ValueError, match=next(iter(wrong))):
        Schedule(**(sound | wrong))


@given(st.integers(1, 400).flatmap(lambda epochs: st.tuples(st.just(epochs), st.integers(0, epochs))))
@example((10, 7))
@example((5, 5))
def test_averaging_phase_is_the_last_epochs(numbers: tuple[int, int]) -> None:
    """For any number of epochs, exactly this share of the epochs is averaged, and they are the last ones."""
    epochs, n_averaged = numbers
    schedule = Schedule(epochs, 1, Augmentation(), averaging_phase=n_averaged / epochs)

    averaged = [number for number in range(epochs) if schedule.is_averaged(number)]

    assert list(range(epochs - n_averaged, epochs)) == averaged


def test_recipes_are_frozen() -> None:
    """Neither a recipe, its settings nor the table of recipes can be modified."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        LECTURE.seed = 7  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        SCHEDULE.epochs = 7  # type: ignore[misc]
    for table in (LECTURE.estimator, QUICK.estimator, RECIPES):
        with pytest.raises(TypeError):
            table["alpha"] = 0  # type: ignore[index]


def test_schedule_of_a_former_release_is_read() -> None:
    """The field names in older model files are translated to those of today, which stay as they are.

    Their final phase was the weight-averaging phase.
    """
    today = QUICK.settings()["schedule"]
    former = {"synthetic_share": "drawn", "averaging_phase": "settling", "final_strength": "settled"}
    stored = {former.get(name, name): value for name, value in today.items() if name != "final_phase"}

    assert {"drawn", "settling", "settled"} <= set(stored)
    assert today == schedule_settings({"schedule": stored})
    stored["averaging_strength"] = stored.pop("settled")
    assert today == schedule_settings({"schedule": stored})
    assert RECORD.settings()["schedule"] == schedule_settings(RECORD.settings())
    assert schedule_settings(LECTURE.settings()) is None
