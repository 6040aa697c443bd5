"""POST /predict: one picture in, one answer out. POST /predict/batch: many in, as many out."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response
from starlette.types import Scope

from service.api import bodies, examples, problems
from service.api.problems import Problem
from service.api.schemas import Answer, answer
from service.api.state import Shared
from service.classifier import Classifier
from service.errors import PictureError
from service.images.decoding import is_small

BATCH = "/predict/batch"
router = APIRouter(tags=["predict"])


@router.post(
    "/predict",
    response_model=Answer,
    responses=problems.documented(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    ),
    openapi_extra={"requestBody": examples.PREDICT_BODY},
)
async def predict(
    request: Request,
    shared: Shared,
    top_k: Annotated[int | None, Query(ge=1, le=10, description="also list this many classes by probability")] = None,
    explain: Annotated[bool, Query(description="also return how the answer came about")] = False,
) -> Response:
    """Read the digit in a picture.

    Send a form with the field `file`, the picture itself, or JSON. PNG, JPEG, HEIC, AVIF, WebP, GIF, BMP and TIFF,
    unless the service accepts fewer, of any size up to the limits, dark on light or light on dark.
    """
    body, content_type = await request.body(), request.headers.get("content-type", "")
    if len(body) > bodies.LARGE:
        return await shared.admission.run_in_thread(
            lambda: _answer(shared.classifier, bodies.picture_in(body, content_type), top_k, explain)
        )
    picture = bodies.picture_in(body, content_type)
    is_quick = not isinstance(picture, bytes) or is_small(picture)
    run = shared.admission.run_inline if is_quick else shared.admission.run_in_thread
    return await run(_answer, shared.classifier, picture, top_k, explain)


def _answer(classifier: Classifier, picture: bodies.Picture, top_k: int | None, explain: bool) -> Response:
    if isinstance(picture, bytes):
        prediction = classifier.predict_picture(picture)
    else:
        prediction = classifier.predict_pixels(picture[None])[0]
    return _json(answer(classifier, prediction, top_k, explain=explain))


class Result(BaseModel):
    """What became of one picture: either of the two."""

    prediction: Answer | None = Field(None, description="as /predict answers it")
    problem: Problem | None = Field(None, description="why it cannot be answered")


class Results(BaseModel):
    """What became of the pictures of a batch."""

    results: list[Result] = Field(description="in the order sent")


@router.post(
    BATCH,
    response_model=Results,
    responses=problems.documented(
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    ),
    openapi_extra={"requestBody": examples.BATCH_BODY},
)
async def predict_batch(request: Request, shared: Shared) -> Response:
    """Read the digits in many pictures at once.

    Send a form with a field `file` for each. One that cannot be read does not fail the others.
    """
    body, content_type = await request.body(), request.headers.get("content-type", "")

    def answered() -> Response:
        pictures = bodies.files_in_form(body, content_type, shared.max_pictures)
        return _json(Results(results=_results(shared.classifier, pictures, request.scope)))

    return await shared.admission.run_in_thread(answered)


def _results(classifier: Classifier, pictures: list[bytes], scope: Scope) -> list[Result]:
    return [
        Result(problem=problems.describe(scope, one))
        if isinstance(one, PictureError)
        else Result(prediction=answer(classifier, one))
        for one in classifier.predict_pictures(pictures)
    ]


def _json(found: BaseModel) -> Response:
    # As bytes, since FastAPI would check once more that it is what it is.
    return Response(found.model_dump_json(exclude_unset=True), media_type="application/json")
