"""POST /read reads every digit in a picture. POST /read/batch reads many pictures, with one result for each.

Enters: a request body. Leaves: a ReadingAnswer, or ReadingResults. Out of scope: parsing bodies (`api.bodies`), reading
(`reader`) and error responses (`api.problems`).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from service.api import bodies, examples, problems
from service.api.admission import Work
from service.api.explain import ExplainReading
from service.api.openapi import BATCH, PICTURE, answer_example, example_problem, problem_responses
from service.api.parameters import spelt
from service.api.problems import Problem
from service.api.readings import ReadingAnswer, reading_answer
from service.api.responses import json_response
from service.api.state import Shared
from service.errors import PictureError
from service.reader import MAX_DIGITS

PATH = "/read"
BATCH_PATH = "/read/batch"
router = APIRouter(tags=["read"])

Length = Annotated[
    int | None,
    Query(
        ge=1,
        le=MAX_DIGITS,
        description="number of digits in a whole picture, where that is known; if no reading has it, the answer is the "
        "best reading, and the verdict is ambiguous",
    ),
]


@router.post(
    PATH,
    response_model=ReadingAnswer,
    responses=answer_example(examples.READING) | problem_responses(*PICTURE),
    dependencies=[spelt("length", "explain")],
    openapi_extra={"requestBody": examples.READ_BODY},
)
async def read(
    request: Request,
    shared: Shared,
    explain: ExplainReading,
    length: Length = None,
) -> Response:
    """Read every handwritten digit in a picture, in lines.

    Send a multipart form with the field `file`, the picture itself, JSON or text in base64, as to /predict. A line runs
    across the whole picture. At most 256 digits are read. A picture without digits has the verdict `not_digits` and an
    empty text.
    """
    body, content_type = await request.body(), request.headers.get("content-type", "")

    def answer() -> Response:
        reading = shared.reader.read_picture(bodies.parse_encoded_picture(body, content_type), length)
        shared.metrics.count_readings([reading])
        return json_response(request, reading_answer(shared.classifier, reading, explain=explain))

    # Never in the event loop: even a small picture may have many candidate digits.
    return await shared.admission.run_in_thread(Work.MANY, answer)


class ReadingResult(BaseModel):
    """Result for one picture: a reading or a problem."""

    reading: ReadingAnswer | None = Field(None, description="the answer, as of /read")
    problem: Problem | None = Field(None, description="why the picture cannot be read")


class ReadingResults(BaseModel):
    """Results for the pictures of a batch."""

    results: list[ReadingResult] = Field(description="in the order of the pictures")


@router.post(
    BATCH_PATH,
    response_model=ReadingResults,
    responses=answer_example({"results": [{"reading": examples.READING}, {"problem": example_problem("no-ink")}]})
    | problem_responses(*BATCH),
    dependencies=[spelt("length")],
    openapi_extra={"requestBody": examples.BATCH_BODY},
)
async def read_batch(request: Request, shared: Shared, length: Length = None) -> Response:
    """Read every digit in many pictures.

    Send a multipart form with one field `file` for each picture. A picture that cannot be read has a problem as its
    result and does not fail the others. `length` is the number of digits in each of the pictures.
    """
    body, content_type = await request.body(), request.headers.get("content-type", "")

    def answer_batch() -> Response:
        pictures = bodies.parse_batch_form(body, content_type, shared.max_pictures)
        outcomes = shared.reader.read_pictures(pictures, length)
        shared.metrics.count_readings([outcome for outcome in outcomes if not isinstance(outcome, PictureError)])
        results = [
            ReadingResult(problem=problems.to_problem(request.scope, outcome))
            if isinstance(outcome, PictureError)
            else ReadingResult(reading=reading_answer(shared.classifier, outcome))
            for outcome in outcomes
        ]
        return json_response(request, ReadingResults(results=results))

    return await shared.admission.run_in_thread(Work.MANY, answer_batch)
