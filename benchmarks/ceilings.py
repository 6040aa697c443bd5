"""What the service is compared with: servers that do less, each a step more than the one before.

`bare` is uvicorn that reads the body and answers a constant, `raw` a route of FastAPI that does, `upload` one whose
UploadFile is read and thrown away.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, File, Request, Response, UploadFile
from starlette.types import Receive, Scope, Send

_ANSWER = b'{"digit":7}'
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(_ANSWER)).encode())]


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body and answer, with ASGI alone."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _ANSWER})


raw = FastAPI()
upload = FastAPI()


@raw.post("/predict")
async def read_raw(request: Request) -> Response:
    """Read the body and answer."""
    await request.body()
    return Response(_ANSWER, media_type="application/json")


@upload.post("/predict")
async def read_upload(file: Annotated[UploadFile, File()]) -> Response:
    """Read the file of a form and answer."""
    await file.read()
    return Response(_ANSWER, media_type="application/json")
