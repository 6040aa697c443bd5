"""Tests of deploy/monitoring with promtool and with a Prometheus that scrapes the service."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests import servers

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "monitoring"
RULES = [rule for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
# Seconds between two looks at Prometheus.
PAUSE = 0.2


def tool(name: str) -> str:
    """Return the path of a program of Debian's package prometheus. Skips without it."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not on the PATH: apt-get install --no-install-recommends prometheus")
    return path


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Return a client of a Prometheus with the rules, which has scraped a service that was sent some requests."""
    program = tool("prometheus")
    folder, port = tmp_path_factory.mktemp("prometheus"), servers.free_port()
    # Shorter intervals than the rules' own, since a test does not wait for minutes.
    rules = re.sub(r"interval: 1m", "interval: 1s", (FOLDER / "alerts.yaml").read_text())
    (folder / "alerts.yaml").write_text(rules)
    with servers.process({"DIGITS_LOG_LEVEL": "warning"}) as (address, _):
        configuration = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["alerts.yaml"],
            "scrape_configs": [
                {"job_name": "digits", "static_configs": [{"targets": [address.removeprefix("http://")]}]}
            ],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        command = [
            program,
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ]
        with (
            subprocess.Popen(command) as process,
            httpx.Client(base_url=f"http://127.0.0.1:{port}", transport=httpx.HTTPTransport(retries=10)) as client,
        ):
            try:
                # A counter needs a sample before the requests and two after them, to have increased.
                send(address)
                servers.wait_for(lambda: bool(query(client, "digits_http_requests_total{status='415'}")), PAUSE)
                for _ in range(3):
                    send(address)
                    time.sleep(1.5)
                servers.wait_for(lambda: bool(query(client, "digits:predictions:distance6h")), PAUSE)
                yield client
            finally:
                process.terminate()


def send(address: str) -> None:
    """Send requests with an answer of each route, and with an error of the client."""
    seven, numbers = ((ROOT / "docs" / name).read_bytes() for name in ("seven.jpg", "numbers.png"))
    with httpx.Client(base_url=address) as client:
        statuses = [
            client.post("/predict", content=seven).status_code,
            client.post("/predict", content=b"nothing").status_code,
            client.post("/read", content=numbers).status_code,
        ]
    assert [200, 415, 200] == statuses


def query(client: httpx.Client, expression: str) -> list[Any]:
    """Return the samples that a query yields now, or none while Prometheus starts."""
    try:
        response = client.get("/api/v1/query", params={"query": expression})
    except httpx.TransportError:
        return []
    if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return []
    answer = response.json()
    assert answer["status"] == "success", answer
    samples: list[Any] = answer["data"]["result"]
    return samples


# --- Alert rules


def test_rules_fire_on_what_they_are_for() -> None:
    """By promtool there is no error in the rules, and their unit tests pass: a healthy service fires none of them."""
    for command in (
        ["check", "rules", str(FOLDER / "alerts.yaml")],
        ["test", "rules", str(ROOT / "tests" / "deploy" / "alerts_test.yaml")],
    ):
        done = subprocess.run([tool("promtool"), *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_unit_test_and_a_section() -> None:
    """Each is tested to fire, and its runbook is a heading of docs/operations.md that names it."""
    tests = yaml.safe_load((ROOT / "tests" / "deploy" / "alerts_test.yaml").read_text())["tests"]
    fired = {one["alertname"] for test in tests for one in test["alert_rule_test"] if one.get("exp_alerts")}
    document = (ROOT / "docs" / "operations.md").read_text()
    anchors = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", document, re.MULTILINE)}

    assert set(ALERTS) == fired
    for name, rule in ALERTS.items():
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert page == "docs/operations.md"
        assert anchor in anchors
        assert f"{name}" in document


def test_rules_are_evaluated_without_an_alert(prometheus: httpx.Client) -> None:
    """Each rule is evaluated without an error on what the service exports, and a few requests are no alert."""
    groups = prometheus.get("/api/v1/rules").json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]

    assert len(RULES) == len(rules)
    assert {"ok"} == {rule["health"] for rule in rules}
    assert [] == [rule["name"] for rule in rules if rule.get("state") in {"pending", "firing"}]


@pytest.mark.parametrize("name", [rule["record"] for rule in RULES if "record" in rule])
def test_recorded_series_have_samples(prometheus: httpx.Client, name: str) -> None:
    """Else an alert on them could never fire."""
    assert query(prometheus, name)


# --- Dashboard


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_queries_of_the_dashboard_have_samples(prometheus: httpx.Client, panel: dict[str, Any]) -> None:
    """Each query of each panel is valid, and yields numbers after these requests."""
    for target in panel["targets"]:
        samples = query(prometheus, target["expr"].replace("$__rate_interval", "1m"))

        assert samples, target["expr"]
        assert all(sample["value"][1] != "NaN" for sample in samples), target["expr"]


def test_panels_do_not_overlap() -> None:
    """Ids are unique, and each place of Grafana's 24 columns is taken once."""
    taken = [
        (place["x"] + dx, place["y"] + dy)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for dx in range(place["w"])
        for dy in range(place["h"])
    ]

    assert len(DASHBOARD["panels"]) == len({panel["id"] for panel in DASHBOARD["panels"]})
    assert len(taken) == len(set(taken))
    assert {x for x, _ in taken} <= set(range(24))
