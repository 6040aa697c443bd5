"""Tests of service.process.logs."""

from __future__ import annotations

import json
import logging
import logging.config
import sys

import pytest

from service.process.logs import JsonFormatter, TextFormatter, configuration

FACTS = {"request_id": "r1", "path": "/predict", "milliseconds": 1.5, "codes": ["no-ink"]}


@pytest.fixture
def record() -> logging.LogRecord:
    """Return a log record with facts of a request."""
    record = logging.LogRecord("service.x", logging.INFO, "x.py", 1, "POST %s", ("/predict",), None)
    record.created = 0.25
    record.facts = FACTS
    return record


def test_json_line(record: logging.LogRecord) -> None:
    """One object with time in UTC, level, logger, message, and the facts."""
    line = json.loads(JsonFormatter().format(record))

    assert {
        "time": "1970-01-01T00:00:00.250+00:00",
        "level": "info",
        "logger": "service.x",
        "message": "POST /predict",
    } | FACTS == line


def test_json_line_contains_the_traceback(record: logging.LogRecord) -> None:
    """As a member, not as further lines."""
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        record.exc_info = sys.exc_info()
    text = JsonFormatter().format(record)

    assert "\n" not in text
    assert "ZeroDivisionError" in json.loads(text)["exception"]


def test_lone_surrogate_is_escaped(record: logging.LogRecord) -> None:
    """A file name that is not UTF-8 contains one. JSON can escape it."""
    record.args = ("\udcff",)

    assert "POST \udcff" == json.loads(JsonFormatter().format(record))["message"]


def test_text_line(record: logging.LogRecord) -> None:
    """The message, the duration, the problem codes and the request id."""
    assert (
        TextFormatter().format(record).endswith("INFO    POST /predict milliseconds=1.5 codes=['no-ink'] request_id=r1")
    )


@pytest.mark.usefixtures("own_logs")
@pytest.mark.parametrize(("log_format", "is_json"), [("json", True), ("text", False), ("auto", True)])
def test_configuration_applies_to_all_loggers(
    capsys: pytest.CaptureFixture[str], log_format: str, *, is_json: bool
) -> None:
    """Records of libraries have the chosen format, too. `auto` without a terminal is JSON."""
    logging.config.dictConfig(configuration("info", log_format))  # type: ignore[arg-type]
    logging.getLogger("any").info("hello")
    logging.getLogger("any").debug("whisper")
    logging.getLogger("python_multipart.multipart").warning("noise")
    (line,) = capsys.readouterr().err.splitlines()

    assert is_json == line.startswith("{")
    assert "hello" in line


def test_auto_is_text_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard error decides."""

    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())

    assert {"()": "service.process.logs.TextFormatter"} == configuration("info", "auto")["formatters"]["lines"]
