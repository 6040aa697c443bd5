"""Untrusted JSON: size-bounded parsing.

Enters: bytes. Leaves: Python values, or InvalidBody and InvalidJson. Memory of the result grows with the number of
brackets, names and numbers, not with the length of strings: 20 MiB of `[],` become 450 MB of Python lists, and block
the event loop while they are built. Structural characters are therefore counted before parsing. Out of scope: the
expected fields.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import from_json

from service.errors import InvalidBody, InvalidJson

# Each value, name and container of a JSON document has at least one of them.
_STRUCTURAL_CHARACTERS = (b",", b":", b"[", b"{", b'"')


def parse(body: bytes, max_structural: int, hint: str) -> Any:
    """Return the value of a JSON document with at most `max_structural` structural characters.

    `hint` ends the error message about a larger document: what to send instead. Raises InvalidBody for a larger
    document, and InvalidJson for a malformed one.
    """
    if sum(map(body.count, _STRUCTURAL_CHARACTERS)) > max_structural:
        message = f"the JSON has more than {max_structural:,} commas, colons, quotes and opening brackets: {hint}"
        raise InvalidBody(message)
    try:
        # Unlike the standard library's parser, this one rejects lone surrogates, which no response could encode.
        return from_json(body.decode(json.detect_encoding(body)))
    except ValueError as error:
        message = f"the body is not JSON: {error}"
        raise InvalidJson(message) from error
