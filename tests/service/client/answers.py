"""Response bodies of the service, for tests without a service."""

from __future__ import annotations

from typing import Any


def make_problem(status: int, detail: str = "send something else", code: str = "invalid-request") -> dict[str, Any]:
    """Return the body of an error."""
    return {
        "type": f"/errors/{code}",
        "title": "A problem",
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": "r1",
    }


def make_answer(digit: int = 7) -> dict[str, Any]:
    """Return the body of an answer."""
    return {
        "digit": digit,
        "confidence": 0.9,
        "probabilities": [0.1, 0.9],
        "classes": [3, digit],
        "verdict": "clear",
        "novelty": None,
        "model": {"name": "tiny", "version": "3f9c0a1b2d4e"},
    }


def make_reading(text: str = "17\n4") -> dict[str, Any]:
    """Return the body of a reading with these lines."""
    box = [1, 2, 30, 20]
    fields = {"confidence": 0.9, "probabilities": [0.1, 0.9], "verdict": "clear", "novelty": None, "box": box}
    return {
        "text": text,
        "confidence": 0.8,
        "verdict": "clear",
        "lines": [
            {"text": line, "confidence": 0.9, "box": box, "digits": [{"digit": int(digit)} | fields for digit in line]}
            for line in text.splitlines()
        ],
        "picture_size": [40, 60],
        "classes": [3, 7],
        "model": {"name": "tiny", "version": "3f9c0a1b2d4e"},
    }
