"""POST /predict classifies one picture. POST /predict/batch classifies many, with one result for each.

Enters: a request body. Leaves: an Answer, or Results. Out of scope: parsing bodies (`api.bodies`), classification
(`classifier`) and error responses (`api.problems`).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response
from starlette.types import Scope

from service.api import bodies, examples, problems
from service.api.admission import Work
from service.api.explain import ExplainPrediction
from service.api.openapi import BATCH, PICTURE, answer_example, example_problem, problem_responses
from service.api.parameters import spelt
from service.api.problems import Problem
from service.api.responses import json_response
from service.api.schemas import Answer, answer
from service.api.state import Shared
from service.classifier import Classifier
from service.errors import PictureError
from service.images.decoding import is_small_png

BATCH_PATH = "/predict/batch"
router = APIRouter(tags=["predict"])


@router.post(
    "/predict",
    response_model=Answer,
    responses=answer_example(examples.ANSWER) | problem_responses(*PICTURE),
    dependencies=[spelt("top_k", "explain")],
    openapi_extra={"requestBody": examples.PREDICT_BODY},
)
async def predict(
    request: Request,
    shared: Shared,
    explain: ExplainPrediction,
    top_k: Annotated[int | None, Query(ge=1, le=10, description="also return this many most probable classes")] = None,
) -> Response:
    """Classify the handwritten digit in a picture.

    Send a multipart form with the field `file`, the picture itself, JSON, or text in base64. Formats are PNG, JPEG,
    HEIC, AVIF, WebP, GIF, BMP and TIFF, unless the service is configured to accept fewer. The polarity may be dark on
    light or light on dark.
    """
    body, content_type = await request.body(), request.headers.get("content-type", "")
    if len(body) > bodies.MAX_INLINE_BYTES:
        return await shared.admission.run_in_thread(
            Work.LARGE,
            lambda: _answer(request, shared.classifier, bodies.parse_picture(body, content_type), top_k, explain),
        )
    picture = bodies.parse_picture(body, content_type)
    is_small = not isinstance(picture, bytes) or is_small_png(picture)
    arguments = request, shared.classifier, picture, top_k, explain
    # Explanations are long: making and compressing one takes longer than the answer.
    if is_small and not explain:
        return await shared.admission.run_inline(_answer, *arguments)
    return await shared.admission.run_in_thread(Work.SMALL if is_small else Work.LARGE, _answer, *arguments)


def _answer(
    request: Request, classifier: Classifier, picture: bodies.Picture, top_k: int | None, explain: frozenset[str]
) -> Response:
    if isinstance(picture, bytes):
        prediction = classifier.predict_picture(picture)
    else:
        prediction = classifier.predict_pixels(picture[None])[0]
    return json_response(request, answer(classifier, prediction, top_k, explain=explain))


class Result(BaseModel):
    """Result for one picture: a prediction or a problem."""

    prediction: Answer | None = Field(None, description="the answer, as of /predict")
    problem: Problem | None = Field(None, description="why the picture cannot be classified")


class Results(BaseModel):
    """Results for the pictures of a batch."""

    results: list[Result] = Field(description="in the order of the pictures")


@router.post(
    BATCH_PATH,
    response_model=Results,
    responses=answer_example({"results": [{"prediction": examples.ANSWER}, {"problem": example_problem("no-ink")}]})
    | problem_responses(*BATCH),
    openapi_extra={"requestBody": examples.BATCH_BODY},
)
async def predict_batch(request: Request, shared: Shared) -> Response:
    """Classify the digits in many pictures.

    Send a multipart form with one field `file` for each picture. A picture that cannot be read has a problem as its
    result and does not fail the others.
    """
    body, content_type = await request.body(), request.headers.get("content-type", "")

    def answer_batch() -> Response:
        pictures = bodies.parse_batch_form(body, content_type, shared.max_pictures)
        return json_response(request, Results(results=_results(shared.classifier, pictures, request.scope)))

    return await shared.admission.run_in_thread(Work.MANY, answer_batch)


def _results(classifier: Classifier, pictures: list[bytes], scope: Scope) -> list[Result]:
    return [
        Result(problem=problems.to_problem(scope, outcome))
        if isinstance(outcome, PictureError)
        else Result(prediction=answer(classifier, outcome))
        for outcome in classifier.predict_pictures(pictures)
    ]
