"""Tests of service.process.logs."""

from __future__ import annotations

import json
import logging
import logging.config
import sys
from collections.abc import Iterator

import pytest

from service.process.logs import JsonFormatter, TextFormatter, configuration

FACTS = {"request_id": "r1", "path": "/predict", "milliseconds": 1.5, "codes": ["no-ink"]}


@pytest.fixture
def record() -> logging.LogRecord:
    """Return what a module logs of a request."""
    record = logging.LogRecord("service.x", logging.INFO, "x.py", 1, "POST %s", ("/predict",), None)
    record.created = 0.25
    record.facts = FACTS
    return record


@pytest.fixture
def _logging() -> Iterator[None]:
    """Give back what configuring takes: handlers and level of the root logger."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_is_one_json_object(record: logging.LogRecord) -> None:
    """Time in UTC, level, logger, message, and the facts as members."""
    line = json.loads(JsonFormatter().format(record))

    assert {
        "time": "1970-01-01T00:00:00.250+00:00",
        "level": "info",
        "logger": "service.x",
        "message": "POST /predict",
    } | FACTS == line


def test_an_exception_stays_within_its_line(record: logging.LogRecord) -> None:
    """A traceback is a member, not lines of its own."""
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        record.exc_info = sys.exc_info()
    text = JsonFormatter().format(record)

    assert "\n" not in text
    assert "ZeroDivisionError" in json.loads(text)["exception"]


def test_half_a_character_breaks_no_line(record: logging.LogRecord) -> None:
    """As the name of a file has where it is not in UTF-8: it stands there as JSON can have it."""
    record.args = ("\udcff",)

    assert "POST \udcff" == json.loads(JsonFormatter().format(record))["message"]


def test_text_tells_the_same_for_people(record: logging.LogRecord) -> None:
    """The message, how long it took, what was wrong and under which id."""
    assert (
        TextFormatter().format(record).endswith("INFO    POST /predict milliseconds=1.5 codes=['no-ink'] request_id=r1")
    )


@pytest.mark.usefixtures("_logging")
@pytest.mark.parametrize(("form", "is_json"), [("json", True), ("text", False), ("auto", True)])
def test_the_configuration_is_one_that_logging_takes(
    capsys: pytest.CaptureFixture[str], form: str, *, is_json: bool
) -> None:
    """What any library logs comes out in the form chosen; without a terminal, that is JSON."""
    logging.config.dictConfig(configuration("info", form))  # type: ignore[arg-type]
    logging.getLogger("any").info("hello")
    logging.getLogger("any").debug("whisper")
    logging.getLogger("python_multipart.multipart").warning("the form is damaged, as the line of its request tells")
    (line,) = capsys.readouterr().err.splitlines()

    assert is_json == line.startswith("{")
    assert "hello" in line


def test_a_terminal_gets_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where somebody looks on, lines are for reading."""

    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())

    assert {"()": "service.process.logs.TextFormatter"} == configuration("info", "auto")["formatters"]["lines"]
