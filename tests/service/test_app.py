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


def test_invalid_model_file_stops_the_startup(tmp_path: Path) -> None:
    """The lifespan raises ArtifactError with the file name."""
    path = tmp_path / "model.safetensors"
    path.write_text("nonsense")

    with pytest.raises(ArtifactError, match=r"model\.safetensors"), TestClient(create_app(Settings(model=path))):
        pass


def test_version_is_the_same_everywhere() -> None:
    """The OpenAPI document and the container's label have the version of the package."""
    assert __version__ == create_app(Settings()).openapi()["info"]["version"]
    assert [__version__] == re.findall(r"^ARG VERSION=(.*)$", (_ROOT / "Dockerfile").read_text(), re.MULTILINE)


def test_worker_reads_settings_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The factory of worker processes applies the same settings."""
    monkeypatch.setenv("DIGITS_API_KEYS", "key")

    assert 401 == TestClient(from_environment()).get("/model").status_code


def test_worker_without_its_key_file_exits_with_one_log_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The file can be gone when a worker is replaced. The log line has no traceback."""
    monkeypatch.setenv("DIGITS_API_KEYS_FILE", str(tmp_path / "keys"))

    with pytest.raises(SystemExit) as caught:
        from_environment()
    (record,) = caplog.records

    assert 1 == caught.value.code
    assert record.message.startswith("DIGITS_API_KEYS_FILE: ")
    assert record.exc_info is None


def test_openapi_document_has_all_referenced_schemas(tiny_client: TestClient) -> None:
    """No $ref dangles."""
    response = tiny_client.get("/openapi.json")
    defined = {f"#/components/schemas/{name}" for name in response.json()["components"]["schemas"]}
    referenced = set(re.findall(r'"\$ref":"([^"]+)"', response.text))

    assert "#/components/schemas/InputTensor" in referenced
    assert set() == referenced - defined
