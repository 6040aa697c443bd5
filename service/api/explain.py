"""The query parameter `explain`: a boolean, or the names of the fields that are explained.

Enters: the values of a query. Leaves: the names of fields. Out of scope: computing them (`schemas`, `readings`).
Annotations are evaluated here, since FastAPI could not resolve those that name what a function makes.
"""

from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import Field, StringConstraints

from service.api.schemas import BriefExplanation, Explanation

CUTS = "cuts"
PREDICT_FIELDS = frozenset(Explanation.model_fields)
READ_FIELDS = frozenset(BriefExplanation.model_fields) | {CUTS}


def _chosen(fields: frozenset[str], description: str) -> Any:
    """Return a dependency on the chosen ones of `fields`: all for true, none for false or without the parameter."""
    names = sorted(fields)
    name = f"({'|'.join(names)})"
    # The boolean is first, so that it keeps all the spellings that it had before there were names.
    value = Annotated[
        bool | Annotated[str, StringConstraints(pattern=f"^{name}(,{name})*$")], Field(union_mode="left_to_right")
    ]
    query = Query(description=f"{description}: true for all, or some of {', '.join(names)}, with commas")

    # `async`, since FastAPI would run a plain function in a thread.
    async def choose(explain: Annotated[value, query] = False) -> frozenset[str]:
        if isinstance(explain, bool):
            return fields if explain else frozenset()
        return frozenset(str(explain).split(","))

    return Depends(choose)


ExplainPrediction = Annotated[
    frozenset[str], _chosen(PREDICT_FIELDS, "also return intermediate results and attribution")
]
ExplainReading = Annotated[
    frozenset[str],
    _chosen(READ_FIELDS, "also return intermediate results and attribution of each digit, and the cuts of lines"),
]
