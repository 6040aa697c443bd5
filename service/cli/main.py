"""The command `digits`: parses the command line and runs `serve`, `predict` or `info`. Returns the exit status.

Out of scope: what the commands do, except for `info`.
"""

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
    """Run a command and return its exit status: 0 for success, 1 for an error, 130 for Ctrl-C.

    An error is one line on stderr. Raises SystemExit for --help, --version and invalid arguments, as argparse does.
    """
    arguments = _parser().parse_args(argv)
    try:
        settings = read_settings()
        if arguments.command == "serve":
            serve(settings)
            return 0
        if arguments.command == "predict":
            # Imported here, since `serve` needs neither httpx nor rich.
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
    variables = "\n".join(
        f"  DIGITS_{name.upper():<12} {field.description}" for name, field in Settings.model_fields.items()
    )
    parser = argparse.ArgumentParser(
        prog="digits",
        description="Read handwritten digits in pictures.",
        epilog=f"environment variables:\n{variables}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"digits {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("serve", help="serve the model over HTTP")
    predict = commands.add_parser("predict", help="predict the digits in picture files")
    predict.add_argument("files", nargs="+", metavar="FILE", help="a picture, a folder of them, or a glob in quotes")
    output = predict.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object per file")
    output.add_argument(
        "--csv", action="store_true", help="print a CSV table: file,digit,confidence,verdict,novelty,error"
    )
    predict.add_argument(
        "--workers",
        type=_positive_integer,
        metavar="N",
        help="number of processes, with --url of concurrent requests; default: one per processor",
    )
    predictor = predict.add_mutually_exclusive_group()
    predictor.add_argument("--url", help="predict by the service at this URL instead")
    predictor.add_argument(
        "--steps", type=Path, metavar="DIR", help="also write a picture of each processing step into DIR"
    )
    predict.add_argument(
        "--api-key-file",
        type=Path,
        metavar="FILE",
        help="with --url: file that contains the API key; default: $DIGITS_API_KEY",
    )
    commands.add_parser("info", help="print the description of the model, as JSON")
    return parser


def _positive_integer(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        message = f"must be 1 or more, not {text}"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _info(settings: Settings) -> int:
    model = artifact.load(settings.model)
    metadata = model.metadata.model_dump(exclude={"known_answer"})
    print(
        json.dumps(
            {"file": str(settings.model), "version": model.version, "network": repr(model.network)} | metadata, indent=2
        )
    )
    return 0
