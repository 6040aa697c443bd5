"""Tests of service.client.answers."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from service.app import create_app
from service.client import (
    Answer,
    Explanation,
    ModelName,
    Normalization,
    Problem,
    Ranked,
    ReadingAnswer,
    ReadingDigit,
    ReadingLine,
    StrokeFacts,
)
from service.client.answers import Batch
from service.model.verdict import Verdict
from service.settings import Settings
from tests.service.client.answers import make_answer, make_problem, make_reading

SCHEMAS = create_app(Settings()).openapi()["components"]["schemas"]


@pytest.mark.parametrize(
    ("model", "omitted"),
    [
        (Answer, {"explanation"}),
        (ModelName, set[str]()),
        (Ranked, set[str]()),
        (ReadingAnswer, set[str]()),
        (ReadingLine, {"cuts"}),
        (ReadingDigit, {"explanation"}),
        (Problem, {"type"}),
        (Explanation, set[str]()),
        (Normalization, set[str]()),
        (StrokeFacts, set[str]()),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_models_match_the_schemas_of_the_service(model: type[BaseModel], omitted: set[str]) -> None:
    """Each model has the properties of the schema, and requires the same ones."""
    documented = SCHEMAS[model.__name__]
    required = {name for name, field in model.model_fields.items() if field.is_required()}

    assert set(documented["properties"]) - omitted == set(model.model_fields)
    # Of an explanation the service leaves out what is not requested, and the client requests all.
    documented_as_required = documented["properties"] if model is Explanation else documented["required"]
    assert set(documented_as_required) - omitted == required


@pytest.mark.parametrize("reference", ["about:blank", "/digits/errors/no-ink", None])
def test_type_of_a_problem_does_not_matter(reference: str | None) -> None:
    """Services before 0.1 had about:blank. The client goes by the code."""
    body = make_problem(422, code="no-ink") | {"type": reference}

    assert "no-ink" == Problem.model_validate(body).code


def test_unknown_fields_are_ignored() -> None:
    """A newer service may add fields, at any depth."""
    known = make_answer()
    newer = known | {"mood": "good", "model": known["model"] | {"colour": "blue"}}
    reading = make_reading("7")
    (line,) = reading["lines"]
    newer_reading = reading | {"lines": [line | {"slope": 0.1, "digits": [line["digits"][0] | {"mood": "good"}]}]}

    assert Answer.model_validate(known) == Answer.model_validate(newer)
    assert ReadingAnswer.model_validate(reading) == ReadingAnswer.model_validate(newer_reading)


def test_answers_are_frozen() -> None:
    """Assigning to a field raises."""
    answer = Answer.model_validate(make_answer())
    reading = ReadingAnswer.model_validate(make_reading())

    with pytest.raises(ValidationError, match="frozen"):
        answer.digit = 1  # type: ignore[misc] # the error is the point
    with pytest.raises(ValidationError, match="frozen"):
        reading.lines[0].digits[0].digit = 1  # type: ignore[misc] # the error is the point


def test_batch_has_answers_and_problems_in_order() -> None:
    """Each result is an answer or a problem; anything else is a validation error."""
    answer, problem = make_answer(), make_problem(422)
    batch = Batch[Answer].model_validate({"results": [{"problem": problem}, {"prediction": answer}]})
    reading = make_reading()
    readings = Batch[ReadingAnswer].model_validate({"results": [{"reading": reading}, {"problem": problem}]})

    assert [Problem.model_validate(problem), Answer.model_validate(answer)] == batch.outcomes
    assert [ReadingAnswer.model_validate(reading), Problem.model_validate(problem)] == readings.outcomes
    for result in ({}, {"reading": reading}):
        with pytest.raises(ValidationError):
            Batch[Answer].model_validate({"results": [result]})


def test_unknown_verdict_is_kept() -> None:
    """A newer service may have other verdicts; known ones are members of Verdict."""
    known, unknown = (Answer.model_validate(make_answer() | {"verdict": one}) for one in ("clear", "new"))

    assert known.verdict is Verdict.CLEAR
    assert "new" == unknown.verdict


def test_unknown_verdict_of_a_reading_is_kept() -> None:
    """That of the reading and those of its digits; known ones of digits are members of Verdict."""
    body = make_reading("17") | {"verdict": "new"}
    body["lines"][0]["digits"][1]["verdict"] = "newer"
    reading = ReadingAnswer.model_validate(body)
    one, seven = reading.lines[0].digits

    assert ("new", Verdict.CLEAR, "newer") == (reading.verdict, one.verdict, seven.verdict)


def test_fields_that_a_reading_leaves_out() -> None:
    """A complete reading is not truncated and has no reason."""
    complete = ReadingAnswer.model_validate(make_reading())
    partial = ReadingAnswer.model_validate(make_reading() | {"truncated": True, "reason": "too much"})

    assert (False, None) == (complete.truncated, complete.reason)
    assert (True, "too much") == (partial.truncated, partial.reason)
