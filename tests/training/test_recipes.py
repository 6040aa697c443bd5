"""Recipes say everything that decides a fit, and cannot be changed by accident."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.neural_network import MLPClassifier

from tests.training.tiny import SCHEDULE
from training.augmentation import Augmentation
from training.recipes import LECTURE, QUICK, RECIPES, Schedule


def test_lecture_has_the_numbers_of_the_lecture() -> None:
    """The lecture's recipe is its call of MLPClassifier, word for word, in float64."""
    expected = {
        "hidden_layer_sizes": (50,),
        "max_iter": 10,
        "alpha": 1e-4,
        "solver": "sgd",
        "tol": 1e-4,
        "random_state": 1,
        "learning_rate_init": 0.1,
    }

    assert expected == LECTURE.record()["estimator"]
    assert "float64" == LECTURE.record()["dtype"]
    assert LECTURE.schedule is None


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_is_found_by_its_name(name: str) -> None:
    """Every recipe goes by the name that it carries, and says what it is for."""
    assert name == RECIPES[name].name
    assert RECIPES[name].purpose


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_suits_scikit_learn(name: str) -> None:
    """MLPClassifier knows every setting of every recipe, and none is given that a schedule decides."""
    scheduled = {"max_iter", "shuffle", "warm_start", "random_state"} if RECIPES[name].schedule else set()

    assert set(RECIPES[name].estimator) <= set(MLPClassifier().get_params()) - scheduled


@pytest.mark.parametrize("name", RECIPES)
def test_record_survives_json(name: str) -> None:
    """The record of a recipe comes back from JSON as it was, but for tuples, which JSON does not have."""
    record = RECIPES[name].record()

    back = json.loads(json.dumps(record))
    back["estimator"]["hidden_layer_sizes"] = tuple(back["estimator"]["hidden_layer_sizes"])

    assert record == back


def test_record_says_how_digits_are_bent() -> None:
    """The record of a recipe with a schedule has every distortion and every number of it."""
    how = Augmentation(
        rotation=1, shear=2, scaling=0.3, shift=4, elastic=5, smoothness=6,
        thickness=0.7, gamma=0.8, broken=0.9, noisy=0.1, noise=0.11,
    )  # fmt: skip
    schedule = Schedule(
        epochs=7, n_validation=8, augmentation=how, drawn=0.9, weight_decay=0.3, settling=0.1, settled=0.2
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
            "thickness": 0.7,
            "gamma": 0.8,
            "broken": 0.9,
            "noisy": 0.1,
            "noise": 0.11,
        },
        "drawn": 0.9,
        "weight_decay": 0.3,
        "settling": 0.1,
        "settled": 0.2,
    }

    record = replace(QUICK, schedule=schedule).record()

    assert expected == record["schedule"]
    assert "float32" == record["dtype"]
    assert LECTURE.record()["schedule"] is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"n_validation": 0},
        {"drawn": -0.1},
        {"settling": -0.1},
        {"settling": 1.1},
        {"settled": -0.1},
        {"settled": 1.1},
        {"settled": float("nan")},
    ],
    ids=repr,
)
def test_schedule_without_meaning_is_refused(wrong: dict[str, Any]) -> None:
    """No pass at all, no digit set apart and shares beyond their range are refused, and the number is named."""
    sound: dict[str, Any] = {"epochs": 1, "n_validation": 1, "augmentation": Augmentation()}
    Schedule(**sound, drawn=2.5, settling=1, settled=0)

    with pytest.raises(ValueError, match=next(iter(wrong))):
        Schedule(**(sound | wrong))


@settings(deadline=None)
@given(st.integers(1, 400).flatmap(lambda epochs: st.tuples(st.just(epochs), st.integers(0, epochs))))
@example((10, 7))
@example((5, 5))
def test_the_last_epochs_settle(numbers: tuple[int, int]) -> None:
    """Of any number of epochs, the share that settles is exactly that share, and these are the last."""
    epochs, n_settling = numbers
    schedule = Schedule(epochs, 1, Augmentation(), settling=n_settling / epochs)

    settling = [number for number in range(epochs) if schedule.settles(number)]

    assert list(range(epochs - n_settling, epochs)) == settling


def test_recipes_are_frozen() -> None:
    """Neither a recipe nor its settings nor the table of recipes can be changed."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        LECTURE.seed = 7  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        SCHEDULE.epochs = 7  # type: ignore[misc]
    for table in (LECTURE.estimator, QUICK.estimator, RECIPES):
        with pytest.raises(TypeError):
            table["alpha"] = 0  # type: ignore[index]
