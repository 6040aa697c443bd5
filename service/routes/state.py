"""What the handlers share: put into the application's state by its lifespan, taken from there by dependency."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, ParamSpec, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import Depends, Request

from service.classifier import Classifier
from service.reports import Report
from service.weights import Weights

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(eq=False)
class State:
    """The loaded model and its report, the threads that work for it and how many pictures a request may have.

    Made within the event loop.
    """

    classifier: Classifier
    weights: Weights
    report: Report
    max_pictures: int
    ready: bool = True
    started: float = field(default_factory=time.monotonic)
    # More threads than processors would only take turns, each with a decoded picture in memory.
    workers: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(os.cpu_count() or 1))

    async def in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do work that takes longer than the event loop should wait."""
        return await anyio.to_thread.run_sync(lambda: work(*args, **kwargs), limiter=self.workers)


def _state(request: Request) -> State:
    state: State = request.app.state.digits
    return state


Shared = Annotated[State, Depends(_state)]
