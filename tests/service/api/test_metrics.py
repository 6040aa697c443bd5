"""Tests of service.api.metrics and of the page that shows them."""

from __future__ import annotations

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

from service.api.metrics import FOLDER_VARIABLE, shared_folder
from service.app import create_app
from service.errors import SettingsError
from service.settings import Settings
from tests import servers
from tests.pictures import draw, encode

PICTURE = encode(draw(4))
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def fresh(watchful_model: Path) -> Iterator[TestClient]:
    """Return a client of a service that has not been asked anything yet."""
    with TestClient(create_app(Settings(model=watchful_model, max_bytes=100_000))) as client:
        yield client


def scrape(client: TestClient | httpx.Client) -> Samples:
    """Return the samples of the metrics page, read by the official parser."""
    response = client.get("/metrics")
    assert 200 == response.status_code
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(response.text)
        for sample in family.samples
    }


def total(samples: Samples, name: str, /, **labels: str) -> float:
    """Return the sum of the samples of a name that have these labels."""
    return sum(value for (found, having), value in samples.items() if found == name and having >= labels.items())


def ask_all(client: TestClient | httpx.Client, times: int) -> None:
    """Send known traffic so many times over."""
    for _ in range(times):
        client.post("/predict", content=PICTURE)
        client.post("/predict", content=b"nothing")
        client.post("/predict/batch", files=[("file", PICTURE), ("file", PICTURE), ("file", b"nothing")])
        client.get("/model/weights/7")
        client.get("/nowhere/at/all")
        client.request("PROPFIND", "/predict")


def assert_counted(samples: Samples, times: int) -> None:
    """Hold a scrape against the traffic of ask_all."""
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
    # Only the scrape itself.
    assert 1 == total(samples, "digits_http_requests_in_flight")


def test_a_scrape_shows_exactly_the_traffic_before_it(fresh: TestClient) -> None:
    """Requests by route and status, answers, refusals by code and stages are counted, each once."""
    before = scrape(fresh)
    ask_all(fresh, 2)

    assert 0 == total(before, "digits_predictions_total")
    assert_counted(scrape(fresh), 2)


def test_the_model_is_told(fresh: TestClient) -> None:
    """Dashboards can tell from when on which model answered."""
    model = fresh.get("/model").json()

    assert 1 == total(scrape(fresh), "digits_model_info", name="tiny", version=model["version"])


def test_answers_are_counted_by_digit_and_verdict(fresh: TestClient) -> None:
    """What is counted is what was answered."""
    answer = fresh.post("/predict", content=PICTURE).json()

    labels = {"digit": str(answer["digit"]), "verdict": answer["verdict"]}
    assert 1 == total(scrape(fresh), "digits_predictions_total", **labels)


def test_the_process_is_measured_too(fresh: TestClient) -> None:
    """With one worker there are memory and file handles as well."""
    assert total(scrape(fresh), "process_resident_memory_bytes") > 2**20


def test_openmetrics_is_spoken_too(fresh: TestClient) -> None:
    """Who asks for OpenMetrics gets it, and its own parser reads it."""
    response = fresh.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})

    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert "digits_http_requests_in_flight" in {family.name for family in parse_openmetrics(response.text)}  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("prefix", ["", "/digits"])
def test_routes_are_templates_behind_a_prefix_too(watchful_model: Path, prefix: str) -> None:
    """However the service is reached, its routes have the same labels."""
    with TestClient(create_app(Settings(model=watchful_model)), root_path=prefix) as client:
        client.get("/model/weights/1/image")

        assert 1 == total(scrape(client), "digits_http_requests_total", route="/model/weights/{index}/image")


# --- Several workers


@pytest.fixture(scope="module")
def two_workers(watchful_model: Path) -> Iterator[httpx.Client]:
    """Return a client of a service with two worker processes, which opens a connection for each request."""
    variables = {"DIGITS_WORKERS": "2", "DIGITS_MODEL": str(watchful_model), "DIGITS_LOG_LEVEL": "warning"}
    with (
        servers.process(variables) as (address, _),
        httpx.Client(base_url=address, limits=httpx.Limits(max_keepalive_connections=0)) as client,
    ):
        yield client


def test_two_workers_are_added_up(two_workers: httpx.Client) -> None:
    """Whichever worker is scraped, it shows the traffic of both, once each."""
    ask_all(two_workers, 6)

    for _ in range(4):
        assert_counted(scrape(two_workers), 6)
    assert 1 == total(scrape(two_workers), "digits_model_info")


LEFT_BEHIND = """
import os, signal
from service.api.metrics import Metrics
metrics = Metrics()
metrics.in_flight.inc()
metrics.requested("POST", "/predict", 422, 0.001, ["no-ink"])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a worker that was killed with one request in flight."""
    variables = {**os.environ, FOLDER_VARIABLE: str(tmp_path)}
    killed = subprocess.run([sys.executable, "-c", LEFT_BEHIND], env=variables, check=False)

    assert -signal.SIGKILL == killed.returncode
    return tmp_path


def test_what_a_killed_worker_had_in_flight_is_forgotten(folder: Path) -> None:
    """Its counts stay, its requests in flight do not."""
    script = "from service.api.metrics import Metrics; import json; print(json.dumps(Metrics().page('')[0].decode()))"
    variables = {**os.environ, FOLDER_VARIABLE: str(folder)}
    shown = subprocess.run([sys.executable, "-c", script], env=variables, check=True, capture_output=True, text=True)
    samples = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(json.loads(shown.stdout))
        for sample in family.samples
    }

    assert 0 == total(samples, "digits_http_requests_in_flight")
    assert 1 == total(samples, "digits_refusals_total", code="no-ink")


def test_one_worker_needs_no_folder() -> None:
    """Nothing is set where nothing is shared."""
    with shared_folder(needed=False):
        assert FOLDER_VARIABLE not in os.environ


def test_several_workers_get_a_folder_that_is_gone_afterwards() -> None:
    """The folder is made for them, and removed."""
    with shared_folder(needed=True):
        folder = Path(os.environ[FOLDER_VARIABLE])
        assert folder.is_dir()

    assert not folder.exists()
    assert FOLDER_VARIABLE not in os.environ


def test_a_folder_that_is_named_is_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts of an earlier run are no traffic; other files stay."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    for name in ("counter_1.db", "notes.txt"):
        (tmp_path / name).touch()

    with shared_folder(needed=False):
        assert ["notes.txt"] == [path.name for path in tmp_path.iterdir()]
    assert tmp_path.is_dir()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says which variable to set."""
    (tmp_path / "file").touch()
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "file" / "folder"))

    with (
        pytest.raises(SettingsError, match=f"^{FOLDER_VARIABLE}: several workers need a folder"),
        shared_folder(needed=True),
    ):
        pass
