"""Tests of service.api.routes.page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.api.routes import page

WEB = Path(page.__file__).parents[2] / "web"
FILES = page.read()
# What may be on the wire before anything is drawn, samples aside.
FIRST_PAINT = 100_000


@pytest.mark.parametrize("path", FILES)
def test_every_file_is_served_safely(tiny_client: TestClient, path: str) -> None:
    """Each has its type and its tag, is asked for before it is used again, and may load nothing from elsewhere."""
    plain = {"accept-encoding": "identity"}
    response = tiny_client.get(path, headers=plain)
    policy = response.headers["content-security-policy"]

    assert 200 == response.status_code
    assert FILES[path].body == response.content
    assert FILES[path].media_type == response.headers["content-type"].partition(";")[0]
    assert "public, max-age=0, must-revalidate" == response.headers["cache-control"]
    assert "nosniff" == response.headers["x-content-type-options"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert 304 == tiny_client.get(path, headers=plain | {"if-none-match": response.headers["etag"]}).status_code


def test_all_of_the_folder_is_served() -> None:
    """The page is at /, all else below /page."""
    names = {file.relative_to(WEB).as_posix() for file in WEB.rglob("*.*")}

    assert {"/"} | {f"/page/{name}" for name in names - {"index.html"}} == set(FILES)
    assert FILES["/"].body == (WEB / "index.html").read_bytes()


@pytest.mark.parametrize(
    "path",
    ["/page/", "/page/other.js", "/page/../app.py", "/page/%2e%2e/app.py", "/page/index.html", "/page//js/pad.js"],
)
def test_nothing_else_is_served(tiny_client: TestClient, path: str) -> None:
    """A path that names none of the page's files is answered as any that does not exist."""
    response = tiny_client.get(path)

    assert (404, "not-found") == (response.status_code, response.json()["code"])


def test_the_first_paint_is_small(tiny_client: TestClient) -> None:
    """Page, style and all modules together are below 100 kB, as they are sent to a browser."""
    size = 0
    for path in FILES:
        if "/samples/" not in path:
            with tiny_client.stream("GET", path, headers={"accept-encoding": "gzip"}) as response:
                size += len(b"".join(response.iter_raw()))

    assert size < FIRST_PAINT


def test_every_module_is_fetched_at_once() -> None:
    """The page names all modules that the first one imports, so that none is found late."""
    preloaded = re.findall(r'rel="modulepreload" href="page/js/([a-z]+\.js)"', FILES["/"].body.decode())

    assert sorted(file.name for file in (WEB / "js").iterdir()) == sorted([*preloaded, "main.js"])


def test_all_addresses_are_relative() -> None:
    """So the page works at any path at which a proxy shows it, and asks nobody else."""
    source = "".join(FILES[path].body.decode() for path in FILES if path == "/" or path.endswith((".js", ".css")))

    assert [] == re.findall(r'(?:href|src)="/[^"]*"', source)
    assert [] == [url for url in re.findall(r"https?://[^\s\"']*", source) if "www.w3.org/2000/svg" not in url]


def test_no_code_makes_markup_of_text() -> None:
    """What a service answers, or a file is called, is only ever shown as text."""
    source = "".join(file.read_text() for file in (WEB / "js").iterdir())

    assert [] == re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|cssText", source)
