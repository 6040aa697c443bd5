"""`digits read`: every digit in each picture file. Out of scope: what it shares with `digits predict` (`command`)."""

from __future__ import annotations

import argparse
from functools import partial
from operator import itemgetter

from service.cli import answers
from service.cli.answers import JsonObject
from service.cli.command import Command, run
from service.cli.files import find_files
from service.settings import Settings

_LINE_SEPARATOR = " / "


def read(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print the digits in each file and return the exit status: 0, or 1 if any file has an error.

    A picture without digits is no error: its verdict is `not_digits`.
    """
    command = Command(
        answer=partial(answers.read, length=arguments.length),
        ask=lambda client, file: client.read(file, length=arguments.length),
        describe=_describe,
        fields=("text", "confidence", "verdict", "lines", "picture_size", "truncated", "reason"),
        columns={"text": _text, "confidence": itemgetter("confidence"), "verdict": itemgetter("verdict")},
    )
    return run(command, settings, arguments, find_files(arguments.files))


def _text(answer: JsonObject) -> str:
    """Return the text on one line."""
    text: str = answer["text"]
    return _LINE_SEPARATOR.join(text.split("\n"))


def _describe(answer: JsonObject) -> str:
    doubts = ", ".join([answer["verdict"], *filter(None, [answer.get("reason")])])
    return f"{_text(answer) or 'no digits'} ({answer['confidence']:.1%}, {doubts})"
