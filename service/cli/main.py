"""The command `digits`: serve the model, ask it from a shell, tell what it is."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from service import __version__
from service.errors import DigitsError
from service.model import artifact
from service.server.run import serve
from service.settings import Settings, read_settings


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 well, 1 with one clear line on what went wrong, 130 interrupted."""
    arguments = _parser().parse_args(argv)
    try:
        settings = read_settings()
        if arguments.command == "serve":
            serve(settings)
            return 0
        if arguments.command == "predict":
            # Here, since the service itself needs neither httpx nor rich.
            from service.cli.predict import predict  # noqa: PLC0415

            return predict(settings, arguments)
        return _info(settings)
    except DigitsError as error:
        print(f"digits: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("digits: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    described = "\n".join(
        f"  DIGITS_{name.upper():<12} {field.description}" for name, field in Settings.model_fields.items()
    )
    parser = argparse.ArgumentParser(
        prog="digits",
        description="Read handwritten digits in pictures.",
        epilog=f"environment variables:\n{described}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"digits {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("serve", help="answer over HTTP")
    predict = commands.add_parser("predict", help="read the digits in picture files")
    predict.add_argument("files", nargs="+", metavar="FILE", help="a picture, a folder of them, or a glob in quotes")
    form = predict.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object a file")
    form.add_argument("--csv", action="store_true", help="print a table: file,digit,confidence,verdict,novelty,error")
    predict.add_argument(
        "--workers",
        type=_count,
        metavar="N",
        help="processes that read pictures, with --url requests at once; default: one for each processor",
    )
    where = predict.add_mutually_exclusive_group()
    where.add_argument("--url", help="ask the service at this address instead")
    where.add_argument(
        "--steps", type=Path, metavar="DIR", help="also write a picture of each step on the way to the digit into DIR"
    )
    predict.add_argument(
        "--api-key-file", type=Path, metavar="FILE", help="with --url: holds the API key; default $DIGITS_API_KEY"
    )
    commands.add_parser("info", help="tell which model is served, as JSON")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        message = f"must be 1 or more, not {text}"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _info(settings: Settings) -> int:
    model = artifact.load(settings.model)
    facts = model.metadata.model_dump(exclude={"known_answer"})
    print(
        json.dumps(
            {"file": str(settings.model), "version": model.version, "network": repr(model.network)} | facts, indent=2
        )
    )
    return 0
