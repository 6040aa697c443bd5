"""Tests of deploy.ray on a real Ray of this machine, with two replicas."""

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

from deploy.ray.application import Digits  # noqa: E402 - first it is found out whether there is Ray

ROOT = Path(__file__).parents[2]
CONFIGURATION = yaml.safe_load((ROOT / "deploy" / "ray" / "serve.yaml").read_text())
SEVEN = (ROOT / "docs" / "seven.jpg").read_bytes()
MAX_BYTES = 100_000
PROCESSES = ["ps", "-A", "-o", "pid=,ppid="]


def descendants() -> set[int]:
    """Return the processes that descend from this one."""
    listed = subprocess.run(PROCESSES, capture_output=True, text=True, check=True).stdout
    parents = {int(pid): int(parent) for pid, parent in map(str.split, listed.splitlines())}
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Run the application as serve.yaml says, and return its address; leave neither process nor file."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (told,) = CONFIGURATION["applications"]
    (deployment,) = told["deployments"]
    before = descendants()
    # Ray's sockets lie in this folder, and their paths have to be short.
    with tempfile.TemporaryDirectory(prefix="ray-") as folder, pytest.MonkeyPatch.context() as environment:
        environment.setenv("DIGITS_MAX_BYTES", str(MAX_BYTES))
        # Without one, Ray writes a token into the home directory.
        environment.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        ray.init(num_cpus=2, include_dashboard=False, object_store_memory=80 * 1024 * 1024, _temp_dir=folder)
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        serve.run(serve.deployment(**deployment)(Digits).bind(), name=told["name"], route_prefix=told["route_prefix"])
        started = descendants() - before
        yield f"http://127.0.0.1:{port}"
        serve.shutdown()
        ray.shutdown()

    assert started
    assert set() == started & descendants()


def test_the_picture_is_read_as_by_the_plain_application(address: str) -> None:
    """The answer through Ray's proxy is that of create_app, whichever way the picture is sent."""
    with TestClient(create_app(Settings())) as plain:
        expected = plain.post("/predict", content=SEVEN).json()
    body = httpx.post(f"{address}/predict", content=SEVEN)
    form = httpx.post(f"{address}/predict", files={"file": SEVEN})

    assert 7 == expected["digit"]
    assert (200, expected) == (body.status_code, body.json())
    assert (200, expected) == (form.status_code, form.json())


def test_the_lifespan_ran_in_the_replicas(address: str) -> None:
    """There are as many replicas as serve.yaml wants at least, and they say that they are well."""
    health = httpx.get(f"{address}/health")
    application = serve.status().applications["digits"]
    wanted = CONFIGURATION["applications"][0]["deployments"][0]["autoscaling_config"]["min_replicas"]

    assert (200, "ok") == (health.status_code, health.json()["status"])
    assert {"RUNNING": wanted} == application.deployments["Digits"].replica_states


def test_errors_are_problems_too(address: str) -> None:
    """The environment sets the replicas' limits, and Ray lets their errors through as they are."""
    answer = httpx.post(f"{address}/predict", content=bytes(MAX_BYTES + 1))

    assert (413, "application/problem+json") == (answer.status_code, answer.headers["content-type"])
    assert "image-too-large" == answer.json()["code"]


def test_a_damaged_model_replaces_nothing(address: str, tmp_path: Path, tiny_model: Path) -> None:
    """An update whose replicas cannot start is given up, and one of those that it should replace answers on."""
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(tiny_model.read_bytes()[:-1])
    (told,) = CONFIGURATION["applications"]
    (deployment,) = told["deployments"]
    options = deployment["ray_actor_options"] | {"runtime_env": {"env_vars": {"DIGITS_MODEL": str(damaged)}}}
    update = serve.deployment(**deployment | {"ray_actor_options": options}, max_constructor_retry_count=1)(Digits)
    before = httpx.get(f"{address}/health").json()["model"]

    with pytest.raises(RuntimeError, match="Deploying application digits failed"):
        serve.run(update.bind(), name=told["name"], route_prefix=told["route_prefix"])
    assert "lifespan startup failed" in serve.status().applications["digits"].deployments["Digits"].message
    assert before == httpx.get(f"{address}/health").json()["model"]


def test_a_replica_is_healthy_when_it_is_ready() -> None:
    """The health check passes while the application serves, and raises before and after."""
    app = create_app(Settings())
    replica: Any = SimpleNamespace(app=app)

    with pytest.raises(httpx.HTTPStatusError, match="503"):
        asyncio.run(Digits.check_health(replica))
    with TestClient(app):
        asyncio.run(Digits.check_health(replica))
    with pytest.raises(httpx.HTTPStatusError, match="503"):
        asyncio.run(Digits.check_health(replica))
