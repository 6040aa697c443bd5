"""JSON from strangers: bytes in, what they say out, if that stays small.

Long strings are cheap. Brackets, names and numbers are not: 20 MiB of `[],` become 450 MB of Python's lists, and while
they are made nobody else is answered. So what takes space is counted first. Out of scope: what the JSON should hold.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import from_json

from service.errors import InvalidBody, InvalidJson

# Each value, name and bracket of a document comes with at least one of them.
_MARKS = (b",", b":", b"[", b"{", b'"')


def parse(body: bytes, most: int, instead: str) -> Any:
    """Return what a JSON document with at most so many marks says; `instead` tells what to send where it has more.

    Raises InvalidJson and InvalidBody.
    """
    if sum(map(body.count, _MARKS)) > most:
        message = f"the JSON has more than {most:,} commas, colons, quotes and opening brackets: {instead}"
        raise InvalidBody(message)
    try:
        # Unlike the standard library's, this parser refuses half a character, which could be in no answer.
        return from_json(body.decode(json.detect_encoding(body)))
    except ValueError as error:
        message = f"the body is not JSON: {error}"
        raise InvalidJson(message) from error
