"""Tests of service.api.routes.docs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.api.routes import docs
from service.app import create_app
from service.settings import Settings

ROOT = Path(docs.__file__).parents[3]
VENDOR = ROOT / "service" / "swagger" / "vendor"


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/docs", "text/html"),
        ("/docs/start.js", "text/javascript"),
        ("/docs/swagger-ui-bundle.js", "text/javascript"),
        ("/docs/swagger-ui.css", "text/css"),
        ("/openapi.json", "application/json"),
    ],
)
def test_files_are_compressed_and_cacheable(tiny_client: TestClient, path: str, media_type: str) -> None:
    """Each can be revalidated, and may load resources of its own origin only."""
    response = tiny_client.get(path, headers={"accept-encoding": "gzip"})
    policy = response.headers.get("content-security-policy", "")
    again = {"accept-encoding": "gzip", "if-none-match": response.headers["etag"]}

    assert 200 == response.status_code == tiny_client.head(path).status_code
    assert media_type == response.headers["content-type"].partition(";")[0]
    assert "gzip" == response.headers["content-encoding"]
    assert (path == "/openapi.json") != policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert 304 == tiny_client.get(path, headers=again).status_code


def test_page_loads_nothing_from_elsewhere(tiny_client: TestClient) -> None:
    """All URLs are relative, so that it works under any root path, and each one is served."""
    html = tiny_client.get("/docs").text
    urls = re.findall(r'(?:href|src)="([^"]*)"', html)

    assert [] == [url for url in urls if url.startswith(("/", "http"))]
    assert [200] * 5 == [tiny_client.get(f"/{url}").status_code for url in urls]


def test_document_names_the_root_path(tiny_model: Path) -> None:
    """Requests that are tried out go to the path prefix. Without one, the document names no server."""
    app = create_app(Settings(model=tiny_model))
    with TestClient(app) as plain:
        without = plain.get("/openapi.json").json()
        behind = TestClient(app, root_path="/digits").get("/digits/openapi.json").json()

    assert without | {"servers": [{"url": "/digits"}]} == behind
    assert "servers" not in without


def test_redoc_redirects_to_docs(tiny_client: TestClient) -> None:
    """FastAPI's page there loads its scripts from elsewhere."""
    response = tiny_client.get("/redoc", follow_redirects=False)

    assert (307, "docs") == (response.status_code, response.headers["location"])


def test_notice_names_the_version_of_swagger_ui() -> None:
    """The version in NOTICE is that of the file, which comes with its licences."""
    (named,) = re.findall(r"^Swagger UI ([\d.]+) \(Apache-2\.0\)", (ROOT / "NOTICE").read_text(), re.MULTILINE)

    assert f'"{named}"' in (VENDOR / "swagger-ui-bundle.js").read_text("utf-8")
    assert {"LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"} < {file.name for file in VENDOR.iterdir()}
