"""The command `digits`: serve the model, ask it from a shell, tell what it is."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from service import artifact, logs, metrics
from service.app import create_app, release
from service.classifier import Classifier
from service.errors import DigitsError, PictureError
from service.settings import Settings, read_settings

# Long enough for the answers under way, shorter than the 30 s after which Kubernetes kills.
_GRACE_SECONDS = 20


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 well, 1 with one clear line on what went wrong."""
    arguments = _parser().parse_args(argv)
    try:
        settings = read_settings()
        if arguments.command == "serve":
            return _serve(settings)
        if arguments.command == "predict":
            return _predict(settings, arguments.files, as_json=arguments.json)
        return _info(settings)
    except DigitsError as error:
        print(f"digits: {error}", file=sys.stderr)
        return 1


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
    parser.add_argument("--version", action="version", version=f"digits {release()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("serve", help="answer over HTTP")
    predict = commands.add_parser("predict", help="read the digits in picture files")
    predict.add_argument("files", nargs="+", type=Path, metavar="FILE")
    predict.add_argument("--json", action="store_true", help="print one JSON object a file")
    commands.add_parser("info", help="tell which model is served, as JSON")
    return parser


def _serve(settings: Settings) -> int:
    # Before the server starts, which would bury the one clear line in its traceback.
    artifact.load(settings.model)
    settings.keys()
    several = settings.workers > 1
    with metrics.shared_folder(needed=several):
        uvicorn.run(
            "service.app:from_environment" if several else create_app(settings),
            factory=several,
            workers=settings.workers,
            host=settings.host,
            port=settings.port,
            root_path=settings.root_path,
            log_config=logs.configuration(settings.log_level, settings.log_format),
            log_level=settings.log_level,
            access_log=False,
            server_header=False,
            forwarded_allow_ips=settings.forwarded_allow_ips,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    return 0


def _predict(settings: Settings, files: Sequence[Path], *, as_json: bool) -> int:
    classifier = Classifier.load(settings.model, settings.max_pixels)
    status = 0
    for file in files:
        try:
            prediction = classifier.predict_picture(file.read_bytes())
        except (PictureError, OSError) as error:
            print(f"digits: {file}: {error.strerror if isinstance(error, OSError) else error}", file=sys.stderr)
            status = 1
            continue
        if as_json:
            answer = {
                "file": str(file),
                "digit": prediction.digit,
                "confidence": prediction.confidence,
                "verdict": prediction.verdict,
                "novelty": prediction.novelty,
                "probabilities": prediction.probabilities.tolist(),
            }
            print(json.dumps(answer))
        else:
            print(f"{file}: {prediction.digit} ({prediction.confidence:.1%}, {prediction.verdict})")
    return status


def _info(settings: Settings) -> int:
    model = artifact.load(settings.model)
    facts = model.metadata.model_dump(exclude={"known_answer"})
    print(
        json.dumps(
            {"file": str(settings.model), "version": model.version, "network": repr(model.network)} | facts, indent=2
        )
    )
    return 0
