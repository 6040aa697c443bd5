"""Tests of service.api.routes.page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.api.routes import page

WEB = Path(page.__file__).parents[2] / "web"
FILES = page.read_files()
# Bytes transferred before the first paint, without samples.
MAX_FIRST_PAINT = 100_000


def test_files_have_media_type_etag_and_security_headers(tiny_client: TestClient) -> None:
    """Each can be revalidated by its ETag, and may load resources of its own origin only."""
    plain = {"accept-encoding": "identity"}
    for path, file in FILES.items():
        response = tiny_client.get(path, headers=plain)
        policy = response.headers["content-security-policy"]

        assert 200 == response.status_code, path
        assert file.body == response.content
        assert file.media_type == response.headers["content-type"].partition(";")[0]
        assert "public, max-age=0, must-revalidate" == response.headers["cache-control"]
        assert "nosniff" == response.headers["x-content-type-options"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert 304 == tiny_client.get(path, headers=plain | {"if-none-match": response.headers["etag"]}).status_code


def test_all_files_of_the_directory_are_served() -> None:
    """index.html at /, the others below /page/."""
    names = {file.relative_to(WEB).as_posix() for file in WEB.rglob("*.*")}

    assert {"/"} | {f"/page/{name}" for name in names - {"index.html"}} == set(FILES)
    assert FILES["/"].body == (WEB / "index.html").read_bytes()


@pytest.mark.parametrize(
    "path",
    ["/page/", "/page/other.js", "/page/../app.py", "/page/%2e%2e/app.py", "/page/index.html", "/page//js/pad.js"],
)
def test_other_paths_are_not_found(tiny_client: TestClient, path: str) -> None:
    """Also with path traversal, and for index.html by its file name."""
    response = tiny_client.get(path)

    assert (404, "not-found") == (response.status_code, response.json()["code"])


def test_first_paint_transfers_less_than_100_kb(tiny_client: TestClient) -> None:
    """HTML, CSS and all modules together, gzipped."""
    size = 0
    for path in FILES:
        if "/samples/" not in path:
            with tiny_client.stream("GET", path, headers={"accept-encoding": "gzip"}) as response:
                size += len(b"".join(response.iter_raw()))

    assert size < MAX_FIRST_PAINT


def test_all_modules_are_preloaded() -> None:
    """index.html has a modulepreload link for each module, which avoids a cascade of requests."""
    preloaded = re.findall(r'rel="modulepreload" href="page/js/([a-z]+\.js)"', FILES["/"].body.decode())

    assert sorted(file.name for file in (WEB / "js").iterdir()) == sorted([*preloaded, "main.js"])


def test_all_urls_are_relative() -> None:
    """The page works under any root path, and loads nothing from other origins."""
    source = "".join(FILES[path].body.decode() for path in FILES if path == "/" or path.endswith((".js", ".css")))

    assert [] == re.findall(r'(?:href|src)="/[^"]*"', source)
    assert [] == [url for url in re.findall(r"https?://[^\s\"']*", source) if "www.w3.org/2000/svg" not in url]


def test_no_html_injection() -> None:
    """Responses and file names are inserted as text only."""
    source = "".join(file.read_text() for file in (WEB / "js").iterdir())

    assert [] == re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|cssText", source)
