"""Log records -> lines: JSON for machines, text for a terminal."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic_core import to_json

Form = Literal["auto", "json", "text"]


def configuration(level: str, form: Form) -> dict[str, Any]:
    """Return what `logging.config.dictConfig` takes; `auto` is text on a terminal, else JSON."""
    if form == "auto":
        form = "text" if sys.stderr.isatty() else "json"
    formatter = JsonFormatter if form == "json" else TextFormatter
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": f"{__name__}.{formatter.__name__}"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines", "stream": "ext://sys.stderr"}},
        "root": {"level": level.upper(), "handlers": ["stderr"]},
        # They write of every connection, and of every part of a form and its damage, what is told once a request, or is
        # of no use.
        "loggers": {name: {"level": "ERROR"} for name in ("PIL", "python_multipart", "asyncio")},
    }


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the facts of a request."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        try:
            return to_json(line, fallback=str).decode()
        except ValueError:  # half a character, as of a file name that is not in UTF-8
            return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """Time, level, message, and the facts of a request that it does not say already."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging calls it so
        """Return the line, without a traceback."""
        line = super().formatMessage(record)
        facts = getattr(record, "facts", {})
        rest = [f"{name}={facts[name]}" for name in ("milliseconds", "codes", "request_id") if name in facts]
        return " ".join([line, *rest])
