"""Tests of service.api.metrics and of the endpoint /metrics."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from service.api.metrics import DIRECTORY_VARIABLE, Metrics, multiprocess_directory
from service.api.reports import Reference
from service.app import create_app
from service.errors import SettingsError
from service.settings import Settings, bundled_model
from tests import servers
from tests.pictures import draw, encode

PICTURE = encode(draw(4))
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def fresh_client(watchful_model: Path) -> Iterator[TestClient]:
    """Return a client of a service that has served no requests."""
    with TestClient(create_app(Settings(model=watchful_model, max_bytes=100_000))) as client:
        yield client


def scrape(client: TestClient | httpx.Client) -> Samples:
    """Scrape /metrics and return its samples, read by the official parser."""
    response = client.get("/metrics")
    assert 200 == response.status_code
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(response.text)
        for sample in family.samples
    }


def total(samples: Samples, name: str, /, **labels: str) -> float:
    """Return the sum of the samples with this name and these labels."""
    return sum(value for (found, pairs), value in samples.items() if found == name and pairs >= labels.items())


def send_traffic(client: TestClient | httpx.Client, times: int) -> None:
    """Send the same requests this many times."""
    for _ in range(times):
        client.post("/predict", content=PICTURE)
        client.post("/predict", content=b"nothing")
        client.post("/predict/batch", files=[("file", PICTURE), ("file", PICTURE), ("file", b"nothing")])
        client.get("/model/weights/7")
        client.get("/nowhere/at/all")
        client.request("PROPFIND", "/predict")


def assert_counted(samples: Samples, times: int) -> None:
    """Compare a scrape with the traffic of send_traffic."""
    requests = {
        ("POST", "/predict", "200"): 1,
        ("POST", "/predict", "415"): 1,
        ("POST", "/predict/batch", "200"): 1,
        ("GET", "/model/weights/{index}", "404"): 1,
        ("GET", "other", "404"): 1,
        ("other", "/predict", "405"): 1,
    }
    found = {
        (labels["method"], labels["route"], labels["status"]): value
        for (name, pairs), value in samples.items()
        if name == "digits_http_requests_total" and (labels := dict(pairs))["route"] not in {"/metrics", "/readyz"}
    }
    assert {key: times * count for key, count in requests.items()} == found
    assert 3 * times == total(samples, "digits_predictions_total")
    assert 3 * times == total(samples, "digits_prediction_confidence_count")
    assert 3 * times == total(samples, "digits_prediction_novelty_count")
    codes = {"unsupported-media-type": 2, "not-found": 2, "method-not-allowed": 1}
    assert {code: times * n for code, n in codes.items()} == {
        dict(pairs)["code"]: value for (name, pairs), value in samples.items() if name == "digits_refusals_total"
    }
    stages = {"decode": 5, "normalize": 3, "infer": 2}
    assert {stage: times * n for stage, n in stages.items()} == {
        stage: total(samples, "digits_stage_duration_seconds_count", stage=stage) for stage in stages
    }
    assert times == total(samples, "digits_http_request_duration_seconds_count", route="/predict/batch")
    # The scrape itself.
    assert 1 == total(samples, "digits_http_requests_in_flight")


def test_scrape_counts_the_traffic(fresh_client: TestClient) -> None:
    """Requests by route and status, predictions, problems by code, and stages, each exactly once."""
    before = scrape(fresh_client)
    send_traffic(fresh_client, 2)

    assert 0 == total(before, "digits_predictions_total")
    assert_counted(scrape(fresh_client), 2)


def test_reference_is_that_of_the_report() -> None:
    """Drift is noticed by comparison with the answers to test digits: means of scores, and the share of a digit."""
    reference = json.loads((bundled_model().parent / "report" / "report.json").read_text())["reference"]
    with TestClient(create_app(Settings())) as client:
        samples = scrape(client)

    for score in ("confidence", "novelty"):
        assert reference[score] == total(samples, "digits_reference_mean", score=score)
    for digit, share in reference["digits"].items():
        assert share == total(samples, "digits_reference_share", digit=digit)


def test_reference_without_novelty() -> None:
    """A model without an OOD detector has none."""
    metrics = Metrics()
    metrics.set_reference(Reference(confidence=0.75, novelty=None, digits={3: 1.0}))
    text = metrics.render("")[0].decode()

    assert 'digits_reference_mean{score="confidence"} 0.75\n' in text
    assert 'digits_reference_share{digit="3"} 1.0\n' in text
    assert 'score="novelty"' not in text


def test_model_without_a_report_has_no_reference(fresh_client: TestClient) -> None:
    """No sample, rather than a 0 from which everything would be far."""
    assert 0 == sum(name.startswith("digits_reference") for name, _ in scrape(fresh_client))


def test_model_info(fresh_client: TestClient) -> None:
    """Dashboards show when the model changes."""
    model = fresh_client.get("/model").json()

    assert 1 == total(scrape(fresh_client), "digits_model_info", name="tiny", version=model["version"])


def test_predictions_are_counted_by_digit_and_verdict(fresh_client: TestClient) -> None:
    """The labels equal the answer."""
    answer = fresh_client.post("/predict", content=PICTURE).json()

    labels = {"digit": str(answer["digit"]), "verdict": answer["verdict"]}
    assert 1 == total(scrape(fresh_client), "digits_predictions_total", **labels)


def test_readings_are_counted_by_verdict(fresh_client: TestClient) -> None:
    """Single ones and those of a batch, but no problems."""
    verdict = fresh_client.post("/read", content=PICTURE).json()["verdict"]
    fresh_client.post("/read", content=b"nothing")
    fresh_client.post("/read/batch", files=[("file", PICTURE), ("file", b"nothing")])
    samples = scrape(fresh_client)

    assert 2 == total(samples, "digits_readings_total", verdict=verdict) == total(samples, "digits_readings_total")
    assert 1 == total(samples, "digits_http_requests_total", route="/read/batch")


def test_process_metrics(fresh_client: TestClient) -> None:
    """A single worker exports memory and file descriptors."""
    assert total(scrape(fresh_client), "process_resident_memory_bytes") > 2**20


def test_openmetrics(fresh_client: TestClient) -> None:
    """Negotiated by `Accept`, and valid for its own parser."""
    response = fresh_client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})

    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert "digits_http_requests_in_flight" in {family.name for family in parse_openmetrics(response.text)}  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("prefix", ["", "/digits"])
def test_route_labels_are_templates(watchful_model: Path, prefix: str) -> None:
    """With and without a root path."""
    with TestClient(create_app(Settings(model=watchful_model)), root_path=prefix) as client:
        client.get("/model/weights/1/image")

        assert 1 == total(scrape(client), "digits_http_requests_total", route="/model/weights/{index}/image")


# --- Several workers


def test_event_loop_does_not_read_files_of_workers(fresh_client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """In multiprocess mode a thread renders the metrics."""

    class MultiprocessMetrics:
        is_multiprocess = True

        def render(self, _accept: str) -> tuple[bytes, str]:
            with pytest.raises(RuntimeError, match="no running event loop"):
                asyncio.get_running_loop()
            return b"aggregated", "text/plain"

    monkeypatch.setattr(fresh_client.app.state, "metrics", MultiprocessMetrics())  # type: ignore[attr-defined]

    assert b"aggregated" == fresh_client.get("/metrics").content


@pytest.fixture(scope="module")
def two_workers(watchful_model: Path) -> Iterator[httpx.Client]:
    """Return a client of a service with two worker processes. It opens a new connection for each request."""
    variables = {"DIGITS_WORKERS": "2", "DIGITS_MODEL": str(watchful_model), "DIGITS_LOG_LEVEL": "warning"}
    with (
        servers.process(variables) as (address, _),
        httpx.Client(base_url=address, limits=httpx.Limits(max_keepalive_connections=0)) as client,
    ):
        yield client


def test_two_workers_are_aggregated(two_workers: httpx.Client) -> None:
    """Each worker exports the traffic of both, counted once."""
    send_traffic(two_workers, 6)

    for _ in range(4):
        assert_counted(scrape(two_workers), 6)
    assert 1 == total(scrape(two_workers), "digits_model_info")


KILLED_WORKER = """
import os, signal
from service.api.metrics import Metrics
metrics = Metrics()
metrics.in_flight.inc()
metrics.count_request("POST", "/predict", 422, 0.001, ["no-ink"])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def directory_of_killed_worker(tmp_path: Path) -> Path:
    """Return the metrics directory of a worker that was killed with one request in flight."""
    variables = {**os.environ, DIRECTORY_VARIABLE: str(tmp_path)}
    killed = subprocess.run([sys.executable, "-c", KILLED_WORKER], env=variables, check=False)

    assert -signal.SIGKILL == killed.returncode
    return tmp_path


def test_killed_worker_has_no_requests_in_flight(directory_of_killed_worker: Path) -> None:
    """Its counters remain, its gauge of requests in flight does not."""
    script = "from service.api.metrics import Metrics; import json; print(json.dumps(Metrics().render('')[0].decode()))"
    variables = {**os.environ, DIRECTORY_VARIABLE: str(directory_of_killed_worker)}
    result = subprocess.run([sys.executable, "-c", script], env=variables, check=True, capture_output=True, text=True)
    samples = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(json.loads(result.stdout))
        for sample in family.samples
    }

    assert 0 == total(samples, "digits_http_requests_in_flight")
    assert 1 == total(samples, "digits_refusals_total", code="no-ink")


def test_one_worker_needs_no_directory() -> None:
    """The environment is unchanged."""
    with multiprocess_directory(needed=False):
        assert DIRECTORY_VARIABLE not in os.environ


def test_several_workers_get_a_temporary_directory() -> None:
    """It is removed at the end."""
    with multiprocess_directory(needed=True):
        directory = Path(os.environ[DIRECTORY_VARIABLE])
        assert directory.is_dir()

    assert not directory.exists()
    assert DIRECTORY_VARIABLE not in os.environ


def test_directory_of_the_environment_is_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of metrics of earlier runs. Other files stay."""
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path))
    for name in ("counter_1.db", "notes.txt"):
        (tmp_path / name).touch()

    with multiprocess_directory(needed=False):
        assert ["notes.txt"] == [path.name for path in tmp_path.iterdir()]
    assert tmp_path.is_dir()


def test_invalid_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable."""
    (tmp_path / "file").touch()
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "file" / "directory"))

    with (
        pytest.raises(SettingsError, match=f"^{DIRECTORY_VARIABLE}: several workers need a writable directory"),
        multiprocess_directory(needed=True),
    ):
        pass
