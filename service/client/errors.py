"""What can go wrong when the service is asked, as a tree under the project's DigitsError.

ClientError
├── InvalidInput        what was given cannot be sent, and nothing was
├── NoAnswer            nobody answers at this address, or too slowly
├── ProblemError        the service refused, and says why
└── UnexpectedAnswer    what answered is not this service, such as a proxy on the way
"""

from __future__ import annotations

from service.client.answers import Problem
from service.errors import DigitsError


class ClientError(DigitsError):
    """Base of all; the message is one clear sentence."""


class InvalidInput(ClientError):
    """What was given cannot be sent, and nothing was."""


class NoAnswer(ClientError):
    """Nobody answers at this address, or too slowly."""


class ProblemError(ClientError):
    """The service refused; `problem` says why, `status` is its status over HTTP."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.detail} ({problem.code}, request {problem.request_id})")
        self.problem = problem
        self.status = problem.status


class UnexpectedAnswer(ClientError):
    """What answered is not this service, such as a proxy on the way; `status` is its status over HTTP."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
