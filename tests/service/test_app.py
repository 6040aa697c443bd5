"""Tests of service.app."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service import __version__
from service.app import create_app, from_environment
from service.errors import ArtifactError
from service.settings import Settings

_ROOT = Path(__file__).parents[2]


def test_a_model_that_cannot_be_served_stops_the_start(tmp_path: Path) -> None:
    """The application does not start with a file that is no model."""
    path = tmp_path / "model.safetensors"
    path.write_text("nonsense")

    with pytest.raises(ArtifactError, match=r"model\.safetensors"), TestClient(create_app(Settings(model=path))):
        pass


def test_one_version_is_shown_everywhere() -> None:
    """The OpenAPI document, and the container's label, agree with the package's."""
    assert __version__ == create_app(Settings()).openapi()["info"]["version"]
    assert [__version__] == re.findall(r"^ARG VERSION=(.*)$", (_ROOT / "Dockerfile").read_text(), re.MULTILINE)


def test_a_worker_has_the_settings_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set for the service is set for each of its workers."""
    monkeypatch.setenv("DIGITS_API_KEYS", "key")

    assert 401 == TestClient(from_environment()).get("/model").status_code


def test_a_worker_without_its_keys_ends_with_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The file may be gone when a worker is replaced; the log says so, without a traceback."""
    monkeypatch.setenv("DIGITS_API_KEYS_FILE", str(tmp_path / "keys"))

    with pytest.raises(SystemExit) as caught:
        from_environment()
    (record,) = caplog.records

    assert 1 == caught.value.code
    assert record.message.startswith("DIGITS_API_KEYS_FILE: ")
    assert record.exc_info is None


def test_every_schema_of_the_api_is_in_its_document(tiny_client: TestClient) -> None:
    """Nothing points to where nothing is."""
    response = tiny_client.get("/openapi.json")
    there = {f"#/components/schemas/{name}" for name in response.json()["components"]["schemas"]}
    wanted = set(re.findall(r'"\$ref":"([^"]+)"', response.text))

    assert "#/components/schemas/InputTensor" in wanted
    assert set() == wanted - there
