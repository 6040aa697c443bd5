"""The command `digits`: parses the command line and runs `serve`, `predict`, `read` or `info`. Returns the exit status.

Out of scope: what the commands do, except for `info`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from service import __version__
from service.errors import DigitsError
from service.model import artifact
from service.reader import MAX_DIGITS
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
        if arguments.command == "read":
            from service.cli.read import read  # noqa: PLC0415 - as above

            return read(settings, arguments)
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
    predict = commands.add_parser("predict", help="predict the digit in each picture file")
    predict_source = _add_file_arguments(predict, "file,digit,confidence,verdict,novelty,error")
    predict_source.add_argument(
        "--steps", type=Path, metavar="DIR", help="also write a picture of each processing step into DIR"
    )
    read = commands.add_parser("read", help="read every digit in each picture file, in lines")
    _add_file_arguments(read, "file,text,confidence,verdict,error")
    read.add_argument(
        "--length", type=_integer(1, MAX_DIGITS), metavar="N", help="number of digits in each picture, if known"
    )
    commands.add_parser("info", help="print the description of the model, as JSON")
    return parser


def _add_file_arguments(command: argparse.ArgumentParser, columns: str) -> argparse._MutuallyExclusiveGroup:
    """Add the arguments of a command on picture files. Returns the group of what excludes --url."""
    command.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="a picture, a folder of them, a glob in quotes, or - for standard input",
    )
    output = command.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object per file")
    output.add_argument("--csv", action="store_true", help=f"print a CSV table: {columns}")
    command.add_argument(
        "--workers",
        type=_integer(1),
        metavar="N",
        help="number of processes, with --url of concurrent requests; default: one per processor",
    )
    command.add_argument(
        "--api-key-file",
        type=Path,
        metavar="FILE",
        help="with --url: file that contains the API key; default: $DIGITS_API_KEY",
    )
    source = command.add_mutually_exclusive_group()
    source.add_argument("--url", help="ask the service at this URL instead")
    return source


def _integer(minimum: int, maximum: int = sys.maxsize) -> Callable[[str], int]:
    """Return a parser of integers in this range."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not minimum <= int(text) <= maximum:
            limits = f"{minimum} or more" if maximum == sys.maxsize else f"{minimum} to {maximum}"
            message = f"must be {limits}, not {text}"
            raise argparse.ArgumentTypeError(message)
        return int(text)

    return parse


def _info(settings: Settings) -> int:
    model = artifact.load(settings.model)
    metadata = model.metadata.model_dump(exclude={"known_answer"})
    print(
        json.dumps(
            {"file": str(settings.model), "version": model.version, "network": repr(model.network)} | metadata, indent=2
        )
    )
    return 0
