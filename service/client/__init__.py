"""The Python client of the service: pictures in, typed answers out, over HTTP. One client is synchronous, one asyncio.

    with DigitClient("http://localhost:8000") as client:
        print(client.predict("seven.jpg").digit)
        print(client.read("numbers.jpg").text)

Out of scope: the network itself. Only the service runs it.
"""

from __future__ import annotations

from service.client.answers import (
    Answer,
    ExplainedAnswer,
    Explanation,
    LayerWeights,
    ModelName,
    Normalization,
    Problem,
    Ranked,
    ReadingAnswer,
    ReadingDigit,
    ReadingLine,
    StrokeFacts,
)
from service.client.clients import AsyncDigitClient, DigitClient
from service.client.errors import ClientError, InvalidInput, NoAnswer, ProblemError, UnexpectedAnswer
from service.client.pictures import BinaryFile, Picture

__all__ = [
    "Answer",
    "AsyncDigitClient",
    "BinaryFile",
    "ClientError",
    "DigitClient",
    "ExplainedAnswer",
    "Explanation",
    "InvalidInput",
    "LayerWeights",
    "ModelName",
    "NoAnswer",
    "Normalization",
    "Picture",
    "Problem",
    "ProblemError",
    "Ranked",
    "ReadingAnswer",
    "ReadingDigit",
    "ReadingLine",
    "StrokeFacts",
    "UnexpectedAnswer",
]
