"""Errors of the client, as a tree under the project's DigitsError.

ClientError
├── InvalidInput        the argument cannot be sent; no request was made
├── NoAnswer            the connection failed or timed out
├── ProblemError        the service answered with an error
└── UnexpectedAnswer    the response is not one of this service, but for example of a proxy
"""

from __future__ import annotations

from service.client.answers import Problem
from service.errors import DigitsError


class ClientError(DigitsError):
    """Base of all errors of the client. The message is one sentence."""


class InvalidInput(ClientError):
    """The argument cannot be sent; no request was made."""


class NoAnswer(ClientError):
    """The connection failed or timed out."""


class ProblemError(ClientError):
    """The service answered with an error. `problem` has the details, `status` is the HTTP status."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.detail} ({problem.code}, request {problem.request_id})")
        self.problem = problem
        self.status = problem.status


class UnexpectedAnswer(ClientError):
    """The response is not one of this service, but for example of a proxy. `status` is the HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
