"""Recipes say everything that decides a fit, and cannot be changed by accident."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from sklearn.neural_network import MLPClassifier

from training.recipes import LECTURE, QUICK, RECIPES


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
    assert LECTURE.augmentation is None


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_is_found_by_its_name(name: str) -> None:
    """Every recipe goes by the name that it carries, and says what it is for."""
    assert name == RECIPES[name].name
    assert RECIPES[name].purpose


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_suits_scikit_learn(name: str) -> None:
    """MLPClassifier knows every setting of every recipe."""
    assert set(RECIPES[name].estimator) <= set(MLPClassifier().get_params())


@pytest.mark.parametrize("name", RECIPES)
def test_record_survives_json(name: str) -> None:
    """The record of a recipe comes back from JSON as it was, but for tuples, which JSON does not have."""
    record = RECIPES[name].record()

    back = json.loads(json.dumps(record))
    back["estimator"]["hidden_layer_sizes"] = tuple(back["estimator"]["hidden_layer_sizes"])

    assert record == back


def test_record_says_how_digits_are_bent() -> None:
    """The record of an augmented recipe has every distortion, the epochs and the digits set apart."""
    expected: dict[str, Any] = {
        "rotation": 12,
        "shear": 12,
        "scaling": 0.1,
        "shift": 1,
        "elastic": 1.0,
        "smoothness": 4,
    }
    record = QUICK.record()

    assert expected == record["augmentation"]
    assert (40, 5_000, "float32") == (record["epochs"], record["n_validation"], record["dtype"])
    assert LECTURE.record()["augmentation"] is None


def test_recipes_are_frozen() -> None:
    """Neither a recipe nor its settings nor the table of recipes can be changed."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        LECTURE.epochs = 7  # type: ignore[misc]
    for table in (LECTURE.estimator, QUICK.estimator, RECIPES):
        with pytest.raises(TypeError):
            table["alpha"] = 0  # type: ignore[index]
