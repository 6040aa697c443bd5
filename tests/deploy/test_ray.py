"""Tests of deploy.ray on a local Ray cluster, with two replicas."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import yaml
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings

ray = pytest.importorskip("ray", reason="make test-ray installs Ray and runs these")
serve = pytest.importorskip("ray.serve")

from deploy.ray.application import Digits  # noqa: E402 - skipped without Ray

ROOT = Path(__file__).parents[2]
CONFIGURATION = yaml.safe_load((ROOT / "deploy" / "ray" / "serve.yaml").read_text())
SEVEN = (ROOT / "docs" / "seven.jpg").read_bytes()
MAX_BYTES = 100_000
PROCESSES = ["ps", "-A", "-o", "pid=,ppid="]


def descendants() -> set[int]:
    """Return the ids of the descendant processes of this one."""
    listed = subprocess.run(PROCESSES, capture_output=True, text=True, check=True).stdout
    parents = {int(pid): int(parent) for pid, parent in map(str.split, listed.splitlines())}
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Run the application as serve.yaml configures it, and return its URL. No process or file is left behind."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (application_options,) = CONFIGURATION["applications"]
    (deployment,) = application_options["deployments"]
    before = descendants()
    # The folder of Ray's sockets, whose paths must be short.
    with tempfile.TemporaryDirectory(prefix="ray-") as folder, pytest.MonkeyPatch.context() as environment:
        environment.setenv("DIGITS_MAX_BYTES", str(MAX_BYTES))
        # Without this variable, Ray writes a token to the home directory.
        environment.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        ray.init(num_cpus=2, include_dashboard=False, object_store_memory=80 * 1024 * 1024, _temp_dir=folder)
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        serve.run(
            serve.deployment(**deployment)(Digits).bind(),
            name=application_options["name"],
            route_prefix=application_options["route_prefix"],
        )
        started = descendants() - before
        yield f"http://127.0.0.1:{port}"
        serve.shutdown()
        ray.shutdown()

    assert started
    assert set() == started & descendants()


def test_answers_match_the_plain_application(address: str) -> None:
    """The answer through Ray's proxy is that of create_app, for a picture as body and in a form."""
    with TestClient(create_app(Settings())) as plain:
        expected = plain.post("/predict", content=SEVEN).json()
    body = httpx.post(f"{address}/predict", content=SEVEN)
    form = httpx.post(f"{address}/predict", files={"file": SEVEN})

    assert 7 == expected["digit"]
    assert (200, expected) == (body.status_code, body.json())
    assert (200, expected) == (form.status_code, form.json())


def test_lifespan_runs_in_the_replicas(address: str) -> None:
    """The minimum number of replicas of serve.yaml is running and healthy."""
    health = httpx.get(f"{address}/health")
    application = serve.status().applications["digits"]
    expected = CONFIGURATION["applications"][0]["deployments"][0]["autoscaling_config"]["min_replicas"]

    assert (200, "ok") == (health.status_code, health.json()["status"])
    assert {"RUNNING": expected} == application.deployments["Digits"].replica_states


def test_errors_are_problems(address: str) -> None:
    """The environment configures the replicas, and Ray does not change their error responses."""
    answer = httpx.post(f"{address}/predict", content=bytes(MAX_BYTES + 1))

    assert (413, "application/problem+json") == (answer.status_code, answer.headers["content-type"])
    assert "image-too-large" == answer.json()["code"]


def test_update_with_a_damaged_model_fails(address: str, tmp_path: Path, tiny_model: Path) -> None:
    """The update fails, since its replicas cannot start, and an old replica still answers."""
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(tiny_model.read_bytes()[:-1])
    (application_options,) = CONFIGURATION["applications"]
    (deployment,) = application_options["deployments"]
    options = deployment["ray_actor_options"] | {"runtime_env": {"env_vars": {"DIGITS_MODEL": str(damaged)}}}
    update = serve.deployment(**deployment | {"ray_actor_options": options}, max_constructor_retry_count=1)(Digits)
    before = httpx.get(f"{address}/health").json()["model"]

    with pytest.raises(RuntimeError, match="Deploying application digits failed"):
        serve.run(update.bind(), name=application_options["name"], route_prefix=application_options["route_prefix"])
    assert "lifespan startup failed" in serve.status().applications["digits"].deployments["Digits"].message
    assert before == httpx.get(f"{address}/health").json()["model"]


def test_health_check_reports_readiness() -> None:
    """The health check passes while the application is ready, and raises before and after."""
    app = create_app(Settings())
    replica: Any = SimpleNamespace(app=app)

    with pytest.raises(httpx.HTTPStatusError, match="503"):
        asyncio.run(Digits.check_health(replica))
    with TestClient(app):
        asyncio.run(Digits.check_health(replica))
    with pytest.raises(httpx.HTTPStatusError, match="503"):
        asyncio.run(Digits.check_health(replica))
