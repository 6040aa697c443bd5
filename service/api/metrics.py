"""Prometheus metrics: requests, predictions, readings, problems and stage durations; OpenTelemetry spans of the stages.

Enters: events of the application. Leaves: the text or OpenMetrics exposition. Each application has one Metrics with a
registry of its own. In multiprocess mode (`PROMETHEUS_MULTIPROC_DIR` is set before prometheus_client is imported) each
worker writes its values into files of that directory, and the worker that is scraped aggregates all files. Out of
scope: exporting spans, which is configured from outside.
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

from service.api.reports import Reference
from service.classifier import Prediction, Stage
from service.errors import SettingsError
from service.model.artifact import Artifact
from service.reader import Reading

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
# Histogram buckets in seconds. A small picture takes 0.5 ms, a photo about 10 ms, a body from a slow client up to its
# timeout.
_REQUEST_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_STAGE_SECONDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)
# Fine buckets near 1: most predictions have a confidence above 99 %, so drift appears there first.
_CONFIDENCES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9999, 1)
_NOVELTIES = (0.0001, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1)


@contextmanager
def multiprocess_directory(*, needed: bool) -> Iterator[None]:
    """Within this context, PROMETHEUS_MULTIPROC_DIR names an empty directory for the metrics of several workers.

    A directory that the environment names already is created and cleared of files of earlier runs. Otherwise a
    temporary one is created if `needed`. Raises SettingsError if the directory cannot be created.
    """
    with ExitStack() as stack:
        try:
            if os.environ.get(DIRECTORY_VARIABLE):
                directory = Path(os.environ[DIRECTORY_VARIABLE])
                directory.mkdir(parents=True, exist_ok=True)
                for stale in directory.glob("*.db"):
                    stale.unlink()
            elif needed:
                os.environ[DIRECTORY_VARIABLE] = stack.enter_context(TemporaryDirectory(prefix="digits-metrics-"))
                stack.callback(os.environ.pop, DIRECTORY_VARIABLE)
        except OSError as error:
            message = f"{DIRECTORY_VARIABLE}: several workers need a writable directory: {error}"
            raise SettingsError(message) from error
        yield


class Metrics:
    """The metrics of one application. Implements `classifier.Observer`; stages of traced requests are spans."""

    def __init__(self) -> None:
        # The `_created` series would double the number of series without use.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._directory = os.environ.get(DIRECTORY_VARIABLE) or None
        self._registry = CollectorRegistry()
        if not self._directory:
            # In multiprocess mode values of single processes cannot be aggregated.
            for collector in (ProcessCollector, PlatformCollector, GCCollector):
                collector(registry=self._registry)
        requests = Counter(
            "digits_http_requests", "Requests that have ended.", ["method", "route", "status"], registry=self._registry
        )
        seconds = Histogram(
            "digits_http_request_duration_seconds",
            "Duration of a request, from its head to the end of its response.",
            ["method", "route"],
            buckets=_REQUEST_SECONDS,
            registry=self._registry,
        )
        self.in_flight = Gauge(
            "digits_http_requests_in_flight",
            "Requests in flight.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        problems = Counter(
            "digits_refusals",
            "Problems by code, of requests and of single pictures in batches.",
            ["code"],
            registry=self._registry,
        )
        stages = Histogram(
            "digits_stage_duration_seconds",
            "Duration of one stage of a prediction.",
            ["stage"],
            buckets=_STAGE_SECONDS,
            registry=self._registry,
        )
        self._observe_stage = {stage: stages.labels(stage).observe for stage in get_args(Stage)}
        predictions = Counter(
            "digits_predictions", "Predictions by digit and verdict.", ["digit", "verdict"], registry=self._registry
        )
        readings = Counter(
            "digits_readings",
            "Pictures of which every digit was read, by verdict.",
            ["verdict"],
            registry=self._registry,
        )
        self._confidence = Histogram(
            "digits_prediction_confidence",
            "Calibrated probability of the predicted digit.",
            buckets=_CONFIDENCES,
            registry=self._registry,
        )
        self._novelty = Histogram(
            "digits_prediction_novelty",
            "Out-of-distribution (OOD) score of the pictures.",
            buckets=_NOVELTIES,
            registry=self._registry,
        )
        self._model = Gauge(
            "digits_model_info",
            "Name and version of the served model; always 1.",
            ["name", "version"],
            registry=self._registry,
            multiprocess_mode="livemax",
        )
        # With labels, so that there is no sample, instead of a 0, without a report.
        self._reference_mean = Gauge(
            "digits_reference_mean",
            "Mean confidence and mean OOD score (novelty) of the model's answers to MNIST's test digits.",
            ["score"],
            registry=self._registry,
            multiprocess_mode="livemax",
        )
        self._reference_share = Gauge(
            "digits_reference_share",
            "Share of each digit among the model's answers to MNIST's test digits.",
            ["digit"],
            registry=self._registry,
            multiprocess_mode="livemax",
        )
        # Cached, since `labels` takes longer than the update itself.
        self._requests = cache(requests.labels)
        self._seconds = cache(seconds.labels)
        self._problems = cache(problems.labels)
        self._predictions = cache(predictions.labels)
        self._readings = cache(readings.labels)
        self._tracer = trace.get_tracer("digits")

    @property
    def is_multiprocess(self) -> bool:
        """Whether several workers share these metrics, so that a scrape has to read files."""
        return self._directory is not None

    def set_model(self, model: Artifact) -> None:
        """Export name and version of the served model."""
        self._model.labels(model.metadata.name, model.version).set(1)

    def set_reference(self, reference: Reference | None) -> None:
        """Export with what the answers are compared to notice drift; nothing for None."""
        if reference is None:
            return
        self._reference_mean.labels("confidence").set(reference.confidence)
        if reference.novelty is not None:
            self._reference_mean.labels("novelty").set(reference.novelty)
        for digit, share in reference.digits.items():
            self._reference_share.labels(digit).set(share)

    def count_request(self, method: str, route: str, status: int, seconds: float, problem_codes: Iterable[str]) -> None:
        """Count a request that has ended, its duration and its problems."""
        self._requests(method, route, status).inc()
        self._seconds(method, route).observe(seconds)
        for code in problem_codes:
            self._problems(code).inc()

    def stage(self, stage: Stage) -> _Timer:
        """Return a context manager that measures one stage."""
        return _Timer(self._observe_stage[stage], self._tracer, stage)

    def answered(self, predictions: Sequence[Prediction]) -> None:
        """Count predictions by digit and verdict, and observe confidence and OOD score."""
        for prediction in predictions:
            self._predictions(prediction.digit, prediction.verdict).inc()
            self._confidence.observe(prediction.confidence)
            if prediction.novelty is not None:
                self._novelty.observe(prediction.novelty)

    def count_readings(self, readings: Sequence[Reading]) -> None:
        """Count readings by verdict."""
        for reading in readings:
            self._readings(reading.verdict).inc()

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return the exposition of all metrics and its content type, chosen by the header `Accept`."""
        encode, content_type = choose_encoder(accept)
        return encode(self._merged_registry()), content_type

    def _merged_registry(self) -> CollectorRegistry:
        if not self._directory:
            return self._registry
        for file in Path(self._directory).glob("gauge_live*_*.db"):
            pid = int(file.stem.rpartition("_")[2])
            if not _is_alive(pid):
                # Removes the in-flight gauge of a worker that was killed.
                mark_process_dead(pid, self._directory)  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        MultiProcessCollector(registry, self._directory)  # type: ignore[no-untyped-call]
        return registry


class _Timer:
    """Measures a block, and records it as a span if the request is traced."""

    def __init__(self, observe: Callable[[float], None], tracer: Tracer, name: str) -> None:
        self._observe = observe
        self._tracer = tracer
        self._name = name
        self._span: Span | None = None
        self._started = 0.0

    def __enter__(self) -> None:
        # Starting a span takes longer than decoding a small picture, even without an exporter.
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
        return False  # no such process, or a process of another user that reuses the number
    return True
