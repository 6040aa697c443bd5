"""Tests of service.client.errors."""

from __future__ import annotations

import inspect

import pytest

from service.client import ClientError, Problem, ProblemError, errors
from service.errors import DigitsError
from tests.service.client.answers import make_problem


@pytest.mark.parametrize("kind", [errors.InvalidInput, errors.NoAnswer, errors.ProblemError, errors.UnexpectedAnswer])
def test_every_error_is_a_client_error(kind: type[Exception]) -> None:
    """Every error of the client is a ClientError, which is a DigitsError, and the module's tree shows it."""
    assert (ClientError, DigitsError) == (kind.__base__, ClientError.__base__)
    assert f"── {kind.__name__} " in (inspect.getdoc(errors) or "")


def test_problem_error_has_message_problem_and_status() -> None:
    """The message has the detail, the code and the request id; the problem is an attribute."""
    problem = Problem.model_validate(make_problem(422, "draw something", "no-ink"))
    error = ProblemError(problem)

    assert "draw something (no-ink, request r1)" == str(error)
    assert (problem, 422) == (error.problem, error.status)
