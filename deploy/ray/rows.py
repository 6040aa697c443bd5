"""Bytes of picture files in, rows of a table out: the answer on each picture, or its error.

A row has the fields of `/predict` or of `/read`, and the code and the detail of a problem where there is no answer. Out
of scope: reading the files (`pictures`), writing the table (`output`), and processes (`bulk`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import pyarrow as pa

from deploy.ray.pictures import PATH, FileError, MissingFile
from service.api.problems import to_problem
from service.api.request_context import open_request_context
from service.classifier import Classifier, Prediction
from service.errors import DigitsError
from service.reader import Reader, Reading

Question = Literal["predict", "read"]
Row = dict[str, Any]
Answer = Prediction | Reading | Exception

# One schema for both questions, so that their tables can be read together. What does not apply is null.
SCHEMA = pa.schema(
    [
        pa.field(PATH, pa.string(), nullable=False),
        ("digit", pa.int8()),
        ("text", pa.string()),
        (
            "lines",
            pa.list_(
                pa.struct([("text", pa.string()), ("confidence", pa.float64()), ("box", pa.list_(pa.int32()))]),
            ),
        ),
        ("confidence", pa.float64()),
        ("novelty", pa.float64()),
        ("verdict", pa.string()),
        ("reason", pa.string()),
        ("truncated", pa.bool_()),
        ("error", pa.string()),
        ("detail", pa.string()),
        pa.field("model", pa.string(), nullable=False),
    ]
)


def answer_table(
    classifier: Classifier, question: Question, paths: Sequence[str], files: Sequence[bytes | DigitsError]
) -> pa.Table:
    """Return a table of SCHEMA (n,): a row for each path, with the answer on its file or with its error."""
    contents = [file for file in files if isinstance(file, bytes)]
    answers = iter(_answer_each(_function(classifier, question), contents))
    outcomes: list[Answer] = [next(answers) if isinstance(file, bytes) else file for file in files]
    model = classifier.model.version
    rows = [{PATH: path, "model": model} | _row(outcome) for path, outcome in zip(paths, outcomes, strict=True)]
    return pa.Table.from_pylist(rows, SCHEMA)


def _function(classifier: Classifier, question: Question) -> Callable[[Sequence[bytes]], Sequence[Answer]]:
    return classifier.predict_pictures if question == "predict" else Reader(classifier).read_pictures


def _answer_each(ask: Callable[[Sequence[bytes]], Sequence[Answer]], pictures: Sequence[bytes]) -> Sequence[Answer]:
    """Return what `ask` returns. A defect, at which it raises, is the answer on the one picture that shows it."""
    try:
        return ask(pictures)
    except Exception as error:  # noqa: BLE001 - one picture of millions ends nothing
        if len(pictures) == 1:
            return [error]
        return [answer for picture in pictures for answer in _answer_each(ask, [picture])]


def _row(answer: Answer) -> Row:
    if isinstance(answer, Prediction):
        return {
            "digit": answer.digit,
            "confidence": answer.confidence,
            "novelty": answer.novelty,
            "verdict": answer.verdict.value,
        }
    if isinstance(answer, Reading):
        return {
            "text": answer.text,
            "lines": [
                {"text": line.text, "confidence": line.confidence, "box": list(line.box)} for line in answer.lines
            ],
            "confidence": answer.confidence,
            "verdict": answer.verdict.value,
            "reason": answer.reason,
            "truncated": answer.is_truncated,
        }
    code, detail = _problem(answer)
    return {"error": code, "detail": detail}


def _problem(error: Exception) -> tuple[str, str]:
    """Return the code and the detail of an error: those of the service, and two codes more for files."""
    if isinstance(error, FileError):
        return "not-found" if isinstance(error, MissingFile) else "unreadable-file", str(error)
    if not isinstance(error, DigitsError):
        return "internal-error", f"{type(error).__name__}: {error}"
    # The table of codes belongs to requests, and there is none.
    scope: dict[str, Any] = {"path": "/", "headers": []}
    open_request_context(scope)
    return to_problem(scope, error).code, str(error)
