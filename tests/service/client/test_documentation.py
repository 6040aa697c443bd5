"""Tests of docs/client.md, against what service.client exports."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from pydantic import BaseModel

import service.client
from service.client import AsyncDigitClient, DigitClient

_DOCUMENT = (Path(__file__).parents[3] / "docs" / "client.md").read_text("utf-8")
_ROWS = dict(re.findall(r"^\| `(\w+)(?:\([^|]*)?` \| (.*) \|$", _DOCUMENT, re.MULTILINE))


def test_every_export_is_documented() -> None:
    """By its name in code."""
    assert [] == [name for name in service.client.__all__ if not re.search(rf"`{name}\b", _DOCUMENT)]


def test_every_method_is_documented() -> None:
    """That of both clients, which have the same ones with the same parameters."""
    methods = {name for name, _ in inspect.getmembers(DigitClient, inspect.isfunction) if not name.startswith("_")}

    assert set() == methods - set(_ROWS) - {"close"}
    for name in methods:
        of_both = [list(inspect.signature(getattr(one, name)).parameters) for one in (DigitClient, AsyncDigitClient)]
        assert of_both[0] == of_both[1]
        parameters = of_both[0][1:]
        assert all(re.search(rf"`{name}\([^`]*\b{parameter}\b", _DOCUMENT) for parameter in parameters), name


def test_every_field_is_documented() -> None:
    """In the row of its class; those of a subclass in that of its base."""
    for name in service.client.__all__:
        kind = getattr(service.client, name)
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            bases = [base for base in kind.__bases__ if issubclass(base, BaseModel) and base.__name__ in _ROWS]
            inherited = {field for base in bases for field in base.model_fields}

            assert set(kind.model_fields) - inherited == set(re.findall(r"`([a-z_]+)`", _ROWS[name])), name
