"""What the handlers share: put into the application's state by its lifespan, taken from there by dependency."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from service.api.admission import AdmissionControl
from service.api.reports import Report
from service.api.weights import Weights
from service.classifier import Classifier


@dataclass(eq=False)
class State:
    """The loaded model and its report, how much is in hand, and how many pictures a request may have.

    Made within the event loop.
    """

    classifier: Classifier
    weights: Weights
    report: Report
    admission: AdmissionControl
    max_pictures: int
    ready: bool = True
    started: float = field(default_factory=time.monotonic)

    def drain(self) -> None:
        """Be ready no more: requests are still answered, but should be sent elsewhere."""
        self.ready = False


def state_of(request: Request) -> State:
    """Return what the handlers of this request's application share."""
    state: State = request.app.state.digits
    return state


async def _state(request: Request) -> State:
    # Not awaiting anything, but a plain function would be called in a thread.
    return state_of(request)


Shared = Annotated[State, Depends(_state)]
