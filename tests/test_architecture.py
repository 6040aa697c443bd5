"""The arrows of the design: which module may import which, found by parsing every import wherever it stands."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What a production environment does not have.
OFFLINE = {"training", "sklearn", "scipy", "matplotlib"}
# What only some modules use, and what is asked over HTTP does not load.
RESERVED = {"httpx": ["service.client"], "rich": ["service.cli"], "service.client": ["service.cli", "service.client"]}
HTTP = {"fastapi", "starlette", "uvicorn", "http", "httptools", "python_multipart"}
WEB = {"service.routes", "service.middleware", "service.problems", "service.app"}


def find_modules(package: str) -> dict[str, Path]:
    """Return the files of a package by the dotted names of their modules."""
    names = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


SERVICE = find_modules("service")
TRAINING = find_modules("training")
MODULES = SERVICE | TRAINING


def within(name: str, packages: Iterable[str]) -> bool:
    """Say whether a module is one of these or lies in one of them."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def parts_of(*names: str) -> list[str]:
    """Return these modules of service, and where they are packages everything in them."""
    return [module for name in names for module in SERVICE if within(module, [f"service.{name}"])]


def imports(source: str, package: str) -> Iterator[str]:
    """Yield the dotted name of every module that source code in a package imports, in functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield full if full in MODULES else base


def imported_by(module: str) -> set[str]:
    """Return what a module imports."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return set(imports(path.read_text(encoding="utf-8"), package))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("import sklearn.neural_network, http.client as c", {"sklearn.neural_network", "http.client"}),
        ("from http import HTTPStatus", {"http"}),
        ("from service import artifact, nothing", {"service.artifact", "service"}),
        ("from service.types import PIXELS", {"service.types"}),
        ("def f():\n    import scipy", {"scipy"}),
        ("if TYPE_CHECKING:\n    from training.mnist import Digits", {"training.mnist"}),
        ("from . import state", {"service.routes.state"}),
        ("from .state import State", {"service.routes.state"}),
        ("from .. import problems", {"service.problems"}),
        ("from ..errors import NoInk", {"service.errors"}),
        ("x = 'import sklearn'", set()),
    ],
)
def test_imports_are_found(line: str, expected: set[str]) -> None:
    """Whichever way a module is imported, it is noticed."""
    assert expected == set(imports(line, "service.routes"))


@pytest.mark.parametrize("module", SERVICE)
def test_service_needs_nothing_from_training(module: str) -> None:
    """No module of the service imports training or a library that only training has, not even in a function."""
    assert set() == {name for name in imported_by(module) if within(name, OFFLINE)}


@pytest.mark.parametrize("module", SERVICE)
def test_asking_is_left_to_the_client(module: str) -> None:
    """Only the client makes requests, only the command uses it, and only the command draws on a terminal."""
    reserved = {name for name, users in RESERVED.items() if not within(module, users)}

    assert set() == {name for name in imported_by(module) if within(name, reserved)}


@pytest.mark.parametrize("module", SERVICE)
def test_service_imports_by_name(module: str) -> None:
    """No module of the service imports another one behind the back of these tests."""
    tree = ast.parse(SERVICE[module].read_text(encoding="utf-8"))
    called = {getattr(node, "id", getattr(node, "attr", None)) for node in ast.walk(tree)}

    assert set() == called & {"__import__", "import_module", "exec", "eval"}


@pytest.mark.parametrize(
    "module",
    parts_of(
        "errors",
        "types",
        "images",
        "network",
        "verdict",
        "explanation",
        "representation",
        "reports",
        "artifact",
        "tiles",
        "classifier",
        "files",
        "readings",
    ),
)
def test_what_answers_knows_no_http(module: str) -> None:
    """From bytes to the verdict, no module knows that it is asked over HTTP."""
    assert set() == {name for name in imported_by(module) if within(name, HTTP | WEB)}


ALLOWED = {
    "errors": set[str](),
    "types": set[str](),
    "images": {"service.errors", "service.types", "service.images"},
    "network": {"service.types"},
    "verdict": {"service.network", "service.types"},
    "representation": set[str](),
    "reports": {"service.errors", "service.representation"},
    "artifact": {"service.errors", "service.types", "service.network", "service.verdict"},
    "files": {"service.errors"},
    "readings": {"service.errors", "service.images.decoding", "service.classifier"},
    "client": {"service.errors", "service.types", "service.verdict", "service.client"},
}


@pytest.mark.parametrize(
    ("module", "allowed"), [(module, allowed) for name, allowed in ALLOWED.items() for module in parts_of(name)]
)
def test_arrows_point_one_way(module: str, allowed: set[str]) -> None:
    """The steps of an answer import only what lies before them, the client only what it shares with them."""
    ours = {name for name in imported_by(module) if within(name, ["service"])}

    assert set() == {name for name in ours if not within(name, allowed)}


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        *((module, {"service.routes", "service.settings"}) for module in parts_of("classifier")),
        *((module, {"service.cli", "service.app"}) for module in parts_of("routes", "middleware")),
    ],
)
def test_nothing_imports_what_is_built_on_it(module: str, forbidden: set[str]) -> None:
    """The classifier knows nothing of routes and settings; routes and middleware nothing of the app and the command."""
    assert set() == {name for name in imported_by(module) if within(name, forbidden)}


@pytest.mark.parametrize(
    "name",
    [
        *("errors", "types", "images", "network", "verdict", "explanation", "artifact", "tiles"),
        *("classifier", "routes", "middleware", "problems", "app", "cli", "settings"),
        *("client", "files", "readings", "representation", "reports"),
    ],
)
def test_rules_name_modules_that_exist(name: str) -> None:
    """A rule about a module that has been renamed would hold for ever."""
    assert f"service.{name}" in SERVICE


def test_imports_form_no_circle() -> None:
    """No module imports, by whatever detour, one that imports it."""
    graph = {module: imported_by(module) & set(MODULES) for module in MODULES}

    order = list(TopologicalSorter(graph).static_order())

    assert order.index("service.network") < order.index("service.classifier") < order.index("service.app")


@pytest.mark.parametrize("module", ["service.app", "service.cli"])
def test_serving_loads_nothing_that_it_does_not_need(module: str) -> None:
    """A fresh interpreter that imports the app, or the command, has loaded neither training nor what asks and draws."""
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"

    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    loaded = set(finished.stdout.split())
    assert set() == loaded & {*OFFLINE, *RESERVED}
    assert {"service", "fastapi", "numpy"} <= loaded


@pytest.mark.parametrize("module", MODULES)
def test_modules_say_what_they_are(module: str) -> None:
    """Every module opens with a docstring."""
    assert ast.get_docstring(ast.parse(MODULES[module].read_text(encoding="utf-8")))
