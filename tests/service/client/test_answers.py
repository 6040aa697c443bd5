"""Tests of service.client.answers."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from service.app import create_app
from service.client import Answer, ModelName, Problem, Ranked
from service.client.answers import Batch
from service.model.verdict import Verdict
from service.settings import Settings
from tests.service.client.answers import make_answer, make_problem

SCHEMAS = create_app(Settings()).openapi()["components"]["schemas"]


@pytest.mark.parametrize(
    ("model", "omitted"),
    [(Answer, {"explanation"}), (ModelName, set[str]()), (Ranked, set[str]()), (Problem, {"type"})],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_models_match_the_schemas_of_the_service(model: type[BaseModel], omitted: set[str]) -> None:
    """Each model has the properties of the schema, and requires the same ones."""
    documented = SCHEMAS[model.__name__]
    required = {name for name, field in model.model_fields.items() if field.is_required()}

    assert set(documented["properties"]) - omitted == set(model.model_fields)
    assert set(documented["required"]) - omitted == required


def test_unknown_fields_are_ignored() -> None:
    """A newer service may add fields, at any depth."""
    known = make_answer()
    newer = known | {"mood": "good", "model": known["model"] | {"colour": "blue"}}

    assert Answer.model_validate(known) == Answer.model_validate(newer)


def test_answers_are_frozen() -> None:
    """Assigning to a field raises."""
    answer = Answer.model_validate(make_answer())

    with pytest.raises(ValidationError, match="frozen"):
        answer.digit = 1  # type: ignore[misc] # the error is the point


def test_batch_has_answers_and_problems_in_order() -> None:
    """Each result is an answer or a problem; anything else is a validation error."""
    answer, problem = make_answer(), make_problem(422)
    batch = Batch.model_validate({"results": [{"problem": problem}, {"prediction": answer}]})

    assert [Problem.model_validate(problem), Answer.model_validate(answer)] == batch.outcomes
    with pytest.raises(ValidationError):
        Batch.model_validate({"results": [{}]})


def test_unknown_verdict_is_kept() -> None:
    """A newer service may have other verdicts; known ones are members of Verdict."""
    known, unknown = (Answer.model_validate(make_answer() | {"verdict": one}) for one in ("clear", "new"))

    assert known.verdict is Verdict.CLEAR
    assert "new" == unknown.verdict
