"""Tests of service.client.answers."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from service.app import create_app
from service.client import Answer, ModelName, Problem, Ranked
from service.client.answers import Batch
from service.settings import Settings
from tests.service.client.answers import make_answer, make_problem

SCHEMAS = create_app(Settings()).openapi()["components"]["schemas"]


@pytest.mark.parametrize(
    ("model", "left_out"),
    [(Answer, {"explanation"}), (ModelName, set[str]()), (Ranked, set[str]()), (Problem, {"type"})],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_taken_is_what_the_service_documents(model: type[BaseModel], left_out: set[str]) -> None:
    """Each field is a property in the schema of the service, and required here only if it is there."""
    documented = SCHEMAS[model.__name__]
    required = {name for name, field in model.model_fields.items() if field.is_required()}

    assert set(documented["properties"]) - left_out == set(model.model_fields)
    assert set(documented["required"]) - left_out == required


def test_what_a_newer_service_adds_is_ignored() -> None:
    """Fields that this client does not know do no harm, at any depth."""
    known = make_answer()
    newer = known | {"mood": "good", "model": known["model"] | {"colour": "blue"}}

    assert Answer.model_validate(known) == Answer.model_validate(newer)


def test_answers_are_frozen() -> None:
    """Nobody changes an answer by accident."""
    answer = Answer.model_validate(make_answer())

    with pytest.raises(ValidationError, match="frozen"):
        answer.digit = 1  # type: ignore[misc] # that is what is tried


def test_a_batch_is_answers_and_problems_in_order() -> None:
    """Each result is the one or the other; one that is neither is refused."""
    answer, problem = make_answer(), make_problem(422)
    batch = Batch.model_validate({"results": [{"problem": problem}, {"prediction": answer}]})

    assert [Problem.model_validate(problem), Answer.model_validate(answer)] == batch.outcomes
    with pytest.raises(ValidationError):
        Batch.model_validate({"results": [{}]})
