"""Tests of service.client.errors."""

from __future__ import annotations

import inspect

import pytest

from service.client import ClientError, Problem, ProblemError, errors
from service.errors import DigitsError
from tests.service.client.answers import make_problem


@pytest.mark.parametrize("kind", [errors.InvalidInput, errors.NoAnswer, errors.ProblemError, errors.UnexpectedAnswer])
def test_whoever_catches_the_base_catches_all(kind: type[Exception]) -> None:
    """Every error of the client is a ClientError, and drawn in the tree; that is a DigitsError."""
    assert (ClientError, DigitsError) == (kind.__base__, ClientError.__base__)
    assert f"── {kind.__name__} " in (inspect.getdoc(errors) or "")


def test_a_problem_is_carried_and_told() -> None:
    """The message has what a person needs, the problem what a program needs."""
    problem = Problem.model_validate(make_problem(422, "draw something", "no-ink"))
    error = ProblemError(problem)

    assert "draw something (no-ink, request r1)" == str(error)
    assert (problem, 422) == (error.problem, error.status)
