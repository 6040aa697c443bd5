"""Logging configuration: log records -> lines of JSON for machines, or of text for a terminal, on standard error."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic_core import to_json

LogFormat = Literal["auto", "json", "text"]


def configuration(level: str, log_format: LogFormat) -> dict[str, Any]:
    """Return a configuration for `logging.config.dictConfig`. `auto` means text on a terminal, else JSON."""
    if log_format == "auto":
        log_format = "text" if sys.stderr.isatty() else "json"
    formatter = JsonFormatter if log_format == "json" else TextFormatter
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": f"{__name__}.{formatter.__name__}"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines", "stream": "ext://sys.stderr"}},
        "root": {"level": level.upper(), "handlers": ["stderr"]},
        # At lower levels these libraries log every connection and every part of a form, also invalid ones: noise beside
        # the access log.
        "loggers": {name: {"level": "ERROR"} for name in ("PIL", "python_multipart", "asyncio")},
    }


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, message, and the facts of a request."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON."""
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
        except ValueError:  # a lone surrogate, as in a file name that is not UTF-8
            return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """One line of text: time, level, message, and the facts of a request that the message lacks."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - name of the overridden method
        """Return the line without the traceback, which `format` appends."""
        line = super().formatMessage(record)
        facts = getattr(record, "facts", {})
        fields = [f"{name}={facts[name]}" for name in ("milliseconds", "codes", "request_id") if name in facts]
        return " ".join([line, *fields])
