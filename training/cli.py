"""The command `digits-train`: fetch MNIST, fit a network, evaluate one. Prints; decides nothing itself."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from service import artifact
from service.classifier import Classifier
from service.errors import DigitsError
from service.settings import bundled_model
from training import mnist
from training.mnist import MIRRORS, PARTS, Mnist, MnistError, Part
from training.pictures import PicturesError, read, sheet
from training.recipes import RECIPES, Recipe


def main(
    argv: Sequence[str] | None = None,
    *,
    parts: Mapping[str, Part] = PARTS,
    mirrors: Sequence[str] = MIRRORS,
    recipes: Mapping[str, Recipe] = RECIPES,
) -> int:
    """Run the command and return its exit status: 0 well, 1 with one clear line on what went wrong."""
    arguments = _parser(recipes).parse_args(argv)
    console = Console(highlight=False, soft_wrap=True)
    try:
        if arguments.command == "fetch":
            _fetch(arguments.data or mnist.find(), parts, mirrors, console)
        elif arguments.command == "fit":
            digits = mnist.load(mnist.find(arguments.data), parts)
            recipe = recipes[arguments.recipe]
            output = arguments.output or Path(f"{recipe.name}.safetensors")
            _fit(recipe, digits, mnist.checksums(parts), output, console)
        elif arguments.pictures is not None:
            _evaluate_pictures(arguments.model, arguments.pictures, arguments.sheet, console)
        else:
            _evaluate(arguments.model, mnist.load(mnist.find(arguments.data), parts), console)
    except (MnistError, PicturesError, DigitsError) as error:
        print(f"digits-train: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("digits-train: interrupted; no file is left half-written", file=sys.stderr)
        return 130
    return 0


def _parser(recipes: Mapping[str, Recipe]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="digits-train", description="Train the network that `digits` serves.")
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help=f"folder of the four MNIST files; default ${mnist.VARIABLE}, or the cache",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("fetch", parents=[data], help="download MNIST and verify it")
    fit = commands.add_parser("fit", parents=[data], help="fit a network and write the model file")
    described = "; ".join(f"{recipe.name}: {recipe.purpose}" for recipe in recipes.values())
    fit.add_argument("--recipe", choices=sorted(recipes), default="quick", help=described)
    fit.add_argument("--output", type=Path, metavar="FILE", help="default RECIPE.safetensors, here")
    evaluate = commands.add_parser(
        "evaluate", parents=[data], help="measure a model on the MNIST test digits, or on pictures"
    )
    evaluate.add_argument(
        "--model", type=Path, metavar="FILE", default=bundled_model(), help="default: the model that is served"
    )
    evaluate.add_argument(
        "--pictures",
        type=Path,
        metavar="DIR",
        help="measure on the pictures in this folder's subfolders instead; each name begins with the digit and `_`",
    )
    evaluate.add_argument(
        "--sheet",
        type=Path,
        metavar="FILE",
        default=Path("misread.png"),
        help="with --pictures: PNG of the misread ones beside what the network saw; default misread.png, here",
    )
    return parser


def _fetch(directory: Path, parts: Mapping[str, Part], mirrors: Sequence[str], console: Console) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console) as bars:
        tasks = {part.name: bars.add_task(part.name, start=False, visible=False) for part in parts.values()}

        def progress(name: str, done: int, total: int | None) -> None:
            bars.start_task(tasks[name])
            bars.update(tasks[name], completed=done, total=total, visible=True)

        written = mnist.fetch(directory, progress=progress, mirrors=mirrors, parts=parts)
    console.print(f"MNIST is in {directory}: {len(written)} files downloaded, {len(parts)} verified")


def _fit(recipe: Recipe, digits: Mnist, data: Mapping[str, str], output: Path, console: Console) -> None:
    # Here, since the other commands need no scikit-learn and it takes a second to import.
    from training.fitting import Epoch, fit  # noqa: PLC0415
    from training.packing import pack  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("epoch {task.completed}/{task.total}  {task.fields[measured]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not recipe.epochs) as bars:
        task = bars.add_task(recipe.name, total=recipe.epochs or None, measured="")

        def report(epoch: Epoch) -> None:
            measured = f"loss {epoch.loss:.4f}  validation error {epoch.validation_error:.2%}"
            bars.update(task, completed=epoch.number, measured=measured)

        classifier = fit(recipe, digits.train, report)
    network, metadata = pack(classifier, recipe, digits, data)
    for name, value in metadata.figures.items():
        console.print(f"{name.replace('_', ' ')} {value:.4f}")
    written = artifact.save(output, network, metadata)
    console.print(f"{written.network!r}, version {written.version}, is in {output}")


def _evaluate(model: Path, digits: Mnist, console: Console) -> None:
    from training.evaluation import error  # noqa: PLC0415

    classifier = Classifier.load(model)
    console.print(f"{classifier.model.network!r}, version {classifier.model.version}")
    console.print(f"error on the {len(digits.test):,} MNIST test digits: {error(classifier, digits.test)}")


def _evaluate_pictures(model: Path, directory: Path, sheet_path: Path, console: Console) -> None:
    classifier = Classifier.load(model)
    console.print(f"{classifier.model.network!r}, version {classifier.model.version}")
    readings = read(classifier, directory)
    for source, error in readings.errors().items():
        console.print(f"{source:<32} {error}")
    console.print(f"macro average over {len(readings.sources)} folders: {readings.macro_average:.2%} misread")
    if readings.misread:
        try:
            sheet(readings.misread).save(sheet_path, "PNG")
        except OSError as error:
            message = f"{sheet_path} cannot be written: {error.strerror}"
            raise PicturesError(message) from error
        console.print(f"{len(readings.misread)} misread pictures, beside what the network saw, are in {sheet_path}")
