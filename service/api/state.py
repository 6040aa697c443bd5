"""State: the objects that all handlers share.

The lifespan of the application stores it in `app.state`; handlers receive it by dependency injection (`Shared`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from service.api.admission import AdmissionControl
from service.api.metrics import Metrics
from service.api.reports import Report
from service.api.weights import Weights
from service.classifier import Classifier
from service.reader import Reader


@dataclass(eq=False)
class State:
    """The loaded model, its reader, weights and report, metrics, admission control, and the batch limit.

    `ready` is what the readiness probe reports. `started` is in seconds of `time.monotonic`. Has to be created within
    the event loop.
    """

    classifier: Classifier
    reader: Reader
    weights: Weights
    report: Report
    metrics: Metrics
    admission: AdmissionControl
    max_pictures: int
    ready: bool = True
    started: float = field(default_factory=time.monotonic)

    def drain(self) -> None:
        """Fail the readiness probe from now on. Requests are still answered, but load balancers stop sending them."""
        self.ready = False


# `async`, since FastAPI would run a plain function in a thread.
async def _state(request: Request) -> State:
    state: State = request.app.state.digits
    return state


Shared = Annotated[State, Depends(_state)]
