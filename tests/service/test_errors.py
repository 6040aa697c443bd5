"""Tests of service.errors."""

from __future__ import annotations

import inspect

from service import errors
from service.errors import DigitsError

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


def drawn_tree() -> dict[str, str]:
    """Return class -> base class, parsed from the module's docstring."""
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


def test_docstring_draws_the_class_tree() -> None:
    """Every class stands below its base class."""
    actual = {kind.__name__: kind.__bases__[0].__name__ for kind in CLASSES}

    assert drawn_tree() == actual


def test_every_error_is_a_digits_error_with_one_base_and_a_docstring() -> None:
    """`except DigitsError` catches all errors, and the tree has no diamonds."""
    for kind in CLASSES:
        assert issubclass(kind, DigitsError), kind
        assert 1 == len(kind.__bases__), kind
        assert (kind.__doc__ or "").endswith("."), kind


def test_error_converts_to_its_message() -> None:
    """Clients receive the message unchanged."""
    assert "blank" == str(errors.NoInk("blank"))
