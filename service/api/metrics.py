"""What is counted, for Prometheus: requests, answers, refusals and how long each stage takes.

One Metrics an application, in a registry of its own. With several workers (`PROMETHEUS_MULTIPROC_DIR` is set before
prometheus_client is imported) each writes into files in that folder, and whichever is scraped adds them up.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from types import TracebackType
from typing import get_args

from opentelemetry import trace
from opentelemetry.trace import Span, Tracer
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from service.classifier import Prediction, Stage
from service.errors import SettingsError
from service.model.artifact import Artifact

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
# Seconds. A small picture takes half a millisecond, a photo some ten, a body over a slow line as long as it likes.
_REQUEST_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_STAGE_SECONDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)
# Most answers are surer than 99 %: a drift shows there first.
_CONFIDENCES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9999, 1)
_NOVELTIES = (0.0001, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1)


@contextmanager
def shared_folder(*, needed: bool) -> Iterator[None]:
    """Have an empty folder for what several workers count, where it is needed or named by the environment.

    Raises SettingsError when there can be none.
    """
    with ExitStack() as stack:
        try:
            if os.environ.get(FOLDER_VARIABLE):
                folder = Path(os.environ[FOLDER_VARIABLE])
                folder.mkdir(parents=True, exist_ok=True)
                for left_over in folder.glob("*.db"):
                    left_over.unlink()
            elif needed:
                os.environ[FOLDER_VARIABLE] = stack.enter_context(TemporaryDirectory(prefix="digits-metrics-"))
                stack.callback(os.environ.pop, FOLDER_VARIABLE)
        except OSError as error:
            message = f"{FOLDER_VARIABLE}: several workers need a folder that they can write to: {error}"
            raise SettingsError(message) from error
        yield


class Metrics:
    """The metrics of one application; a `classifier.Observer` as well, whose stages are spans of a trace, too."""

    def __init__(self) -> None:
        # They would double the number of series, and tell nothing.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._folder = os.environ.get(FOLDER_VARIABLE) or None
        self._registry = CollectorRegistry()
        if not self._folder:
            # Across processes these would have no meaning.
            for collector in (ProcessCollector, PlatformCollector, GCCollector):
                collector(registry=self._registry)
        requests = Counter(
            "digits_http_requests", "Requests answered.", ["method", "route", "status"], registry=self._registry
        )
        seconds = Histogram(
            "digits_http_request_duration_seconds",
            "Time from the head of a request to the end of its response.",
            ["method", "route"],
            buckets=_REQUEST_SECONDS,
            registry=self._registry,
        )
        self.in_flight = Gauge(
            "digits_http_requests_in_flight",
            "Requests that are being answered.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        refusals = Counter(
            "digits_refusals",
            "Requests, or pictures of a batch, that ended in a problem.",
            ["code"],
            registry=self._registry,
        )
        stages = Histogram(
            "digits_stage_duration_seconds",
            "Time of one stage of an answer.",
            ["stage"],
            buckets=_STAGE_SECONDS,
            registry=self._registry,
        )
        self._observe_stage = {stage: stages.labels(stage).observe for stage in get_args(Stage)}
        predictions = Counter(
            "digits_predictions", "Answers by digit and verdict.", ["digit", "verdict"], registry=self._registry
        )
        self._confidence = Histogram(
            "digits_prediction_confidence",
            "Probability of the answered digit.",
            buckets=_CONFIDENCES,
            registry=self._registry,
        )
        self._novelty = Histogram(
            "digits_prediction_novelty",
            "How unlike a digit the pictures are.",
            buckets=_NOVELTIES,
            registry=self._registry,
        )
        self._model = Gauge(
            "digits_model_info",
            "The model that is served; always 1.",
            ["name", "version"],
            registry=self._registry,
            multiprocess_mode="livemax",
        )
        # Looking up what has such labels takes longer than to count it.
        self._requests = cache(requests.labels)
        self._seconds = cache(seconds.labels)
        self._refusals = cache(refusals.labels)
        self._predictions = cache(predictions.labels)
        self._tracer = trace.get_tracer("digits")

    @property
    def is_shared(self) -> bool:
        """Whether several workers count together."""
        return self._folder is not None

    def serves(self, model: Artifact) -> None:
        """Tell which model is served."""
        self._model.labels(model.metadata.name, model.version).set(1)

    def requested(self, method: str, route: str, status: int, seconds: float, codes: Iterable[str]) -> None:
        """Count a request that is over, and the problems it met."""
        self._requests(method, route, status).inc()
        self._seconds(method, route).observe(seconds)
        for code in codes:
            self._refusals(code).inc()

    def stage(self, stage: Stage) -> _Timer:
        """Return a context that times one stage."""
        return _Timer(self._observe_stage[stage], self._tracer, stage)

    def answered(self, predictions: Sequence[Prediction]) -> None:
        """Count answers."""
        for prediction in predictions:
            self._predictions(prediction.digit, prediction.verdict).inc()
            self._confidence.observe(prediction.confidence)
            if prediction.novelty is not None:
                self._novelty.observe(prediction.novelty)

    def page(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics and their content type, in the form that a header `Accept` prefers."""
        encode, content_type = choose_encoder(accept)
        return encode(self._collected()), content_type

    def _collected(self) -> CollectorRegistry:
        if not self._folder:
            return self._registry
        for file in Path(self._folder).glob("gauge_live*_*.db"):
            pid = int(file.stem.rpartition("_")[2])
            if not _is_alive(pid):
                # What a killed worker had in flight is in flight no more.
                mark_process_dead(pid, self._folder)  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        MultiProcessCollector(registry, self._folder)  # type: ignore[no-untyped-call]
        return registry


class _Timer:
    """Times a block, and makes a span of it where its request is traced."""

    def __init__(self, observe: Callable[[float], None], tracer: Tracer, name: str) -> None:
        self._observe = observe
        self._tracer = tracer
        self._name = name
        self._span: Span | None = None
        self._started = 0.0

    def __enter__(self) -> None:
        # Opening a span costs more than decoding takes, even where nobody listens.
        if trace.get_current_span().is_recording():
            self._span = self._tracer.start_span(self._name)
        self._started = perf_counter()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._observe(perf_counter() - self._started)
        if self._span is not None:
            self._span.end()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False  # nobody has this number, or a process that is no worker of ours
    return True
