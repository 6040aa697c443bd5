"""Names of query parameters: a misspelt one is an error, any other unknown one is ignored.

Enters: a request. Leaves: nothing, or UnknownParameter. FastAPI ignores every unknown parameter, so that `?topk=3` gets
an answer without what was asked for. Forbidding all of them would refuse requests to which gateways and trackers have
added their own. Out of scope: the values of parameters, which FastAPI validates.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any

from fastapi import Depends, Request

from service.errors import UnknownParameter

# Similarity of difflib, 0 to 1. `lenght`, `explained` and `top` are closer to our names than this, `stop` is not.
_SIMILARITY = 0.8
_SEPARATORS = re.compile(r"[\W_]+")


def spelt(*names: str) -> Any:
    """Return a dependency that raises UnknownParameter for a query parameter that is nearly, but not, one of `names`.

    Case and separators count for nothing: `topK` and `top-k` are nearly `top_k`.
    """
    plain_names = {_plain(name): name for name in names}

    # `async`, since FastAPI would run a plain function in a thread.
    async def check(request: Request) -> None:
        for parameter in request.query_params:
            if parameter in names:
                continue
            close = get_close_matches(_plain(parameter), plain_names, n=1, cutoff=_SIMILARITY)
            if close:
                message = f"there is no query parameter {parameter!r}: write {plain_names[close[0]]!r}"
                raise UnknownParameter(message)

    return Depends(check)


def _plain(name: str) -> str:
    return _SEPARATORS.sub("", name.lower())
