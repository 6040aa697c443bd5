"""Tests of service.errors."""

from __future__ import annotations

import inspect

import pytest

from service import errors
from service.errors import DigitsError

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


def drawn_tree() -> dict[str, str]:
    """Return class -> base class as the docstring of the module draws them."""
    bases = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        start = len(line) - len(line.lstrip("│├└─ "))
        name = line[start:].partition(" ")[0]
        if not line or (start == 0 and name != DigitsError.__name__):
            continue
        depth = (start + 2) // 4
        del above[depth:]
        bases[name] = above[-1] if above else Exception.__name__
        above.append(name)
    return bases


def test_the_drawn_tree_is_the_tree() -> None:
    """The docstring draws every class under the class that it derives from."""
    actual = {kind.__name__: kind.__bases__[0].__name__ for kind in CLASSES}

    assert drawn_tree() == actual


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_is_a_digits_error_with_one_base_and_a_docstring(kind: type[Exception]) -> None:
    """Whoever catches DigitsError catches all, each lies on one branch, and each says what it stands for."""
    assert issubclass(kind, DigitsError)
    assert 1 == len(kind.__bases__)
    assert (kind.__doc__ or "").endswith(".")


def test_an_error_is_its_message() -> None:
    """The message is what a client reads, as it was written."""
    assert "blank" == str(errors.NoInk("blank"))
