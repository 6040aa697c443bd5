"""The command `digits-train`: fetch MNIST, fit, evaluate and convert networks.

Enters: command line arguments. Leaves: files, printed lines, and the exit status. Out of scope: everything but parsing
and printing, which the other modules do.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from service.classifier import Classifier
from service.errors import DigitsError
from service.model import artifact
from service.model.artifact import Artifact
from service.reader import Reader
from service.settings import bundled_model
from training import card, checkpoints, fit_time, mnist, numbers
from training.checkpoints import Checkpoint
from training.errors import TrainingError
from training.evaluation import error
from training.files import write_file
from training.mnist import MIRRORS, PARTS, Part
from training.pictures import read, sheet
from training.recipes import LECTURE, MODEL_NAME, RECIPES, Recipe

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def main(
    argv: Sequence[str] | None = None,
    *,
    parts: Mapping[str, Part] = PARTS,
    mirrors: Sequence[str] = MIRRORS,
    recipes: Mapping[str, Recipe] = RECIPES,
) -> int:
    """Run the command and return its exit status: 0 success, 1 an error in one line, 130 interrupted."""
    arguments = _parser(recipes).parse_args(argv)
    console = Console(highlight=False, soft_wrap=True)
    try:
        commands = {
            "fetch": lambda: _fetch(arguments.data or mnist.find(), parts, mirrors, console),
            "fit": lambda: _fit(arguments, recipes[arguments.recipe], parts, console),
            "refit-reading": lambda: _refit_reading(arguments, parts, console),
            "evaluate": lambda: _evaluate(arguments, parts, console),
            "report": lambda: _report(arguments, parts, console),
            "export": lambda: _export(arguments, console),
            "alpha-study": lambda: _alpha_study(arguments, parts, console),
            "higham": lambda: _higham(arguments, console),
        }
        commands[arguments.command]()
    except (TrainingError, DigitsError) as failure:
        print(f"digits-train: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        hint = "; `fit --resume` continues from the last epoch" if arguments.command == "fit" else ""
        print(f"digits-train: interrupted; no file is partially written{hint}", file=sys.stderr)
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
    fit.add_argument(
        "--name", type=_model_name, default=MODEL_NAME, help="of the model, in answers and metrics; default %(default)s"
    )
    fit.add_argument(
        "--resume",
        action="store_true",
        help="continue an interrupted fit, from the checkpoint beside the output",
    )
    fit.add_argument(
        "--classes",
        type=int,
        nargs="+",
        choices=range(10),
        metavar="DIGIT",
        help="fit on these digits only; for two, the head is a single sigmoid unit for the second",
    )
    model = argparse.ArgumentParser(add_help=False)
    model.add_argument(
        "--model", type=Path, metavar="FILE", default=bundled_model(), help="default: the model that is served"
    )
    refit = commands.add_parser(
        "refit-reading",
        parents=[data, model],
        help="fit anew what reads numbers, and keep what answers one digit",
    )
    refit.add_argument("--output", type=Path, required=True, metavar="FILE", help="model file to write")
    evaluate = commands.add_parser(
        "evaluate", parents=[data, model], help="evaluate a model on the MNIST test digits, or on pictures"
    )
    evaluate.add_argument(
        "--pictures",
        type=Path,
        metavar="DIR",
        help="evaluate on the pictures in this folder's subfolders instead; each name begins with the digit and `_`, "
        "or with letters and `_` where it shows no digit",
    )
    evaluate.add_argument(
        "--numbers",
        type=Path,
        metavar="DIR",
        help="read the pictures of numbers that truth.tsv in this folder lists, each with its text and kind, instead",
    )
    evaluate.add_argument(
        "--sheet",
        type=Path,
        metavar="FILE",
        default=Path("misread.png"),
        help="with --pictures or --numbers: PNG of the misread ones; default misread.png, here",
    )
    report = commands.add_parser(
        "report", parents=[data, model], help="full evaluation on the MNIST test digits: JSON, figures, model card"
    )
    report.add_argument("--output", type=Path, metavar="DIR", default=Path("report"), help="default report, here")
    report.add_argument("--card", type=Path, metavar="FILE", help="also write the model card")
    export = commands.add_parser(
        "export", parents=[model], help="convert a model to ONNX or skops, or a skops file to a model"
    )
    export.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="MODEL.skops",
        help="an MLPClassifier that was fitted elsewhere on 28x28 digits, alone or in a Pipeline behind scalers, "
        "instead of --model",
    )
    export.add_argument(
        "--largest-input",
        type=float,
        metavar="NUMBER",
        help="with --from: largest pixel value of its training inputs, 255 for raw pixels, 1 for scaled ones; default: "
        "what its scaler was fitted on",
    )
    export.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="its suffix decides: .onnx, .skops or .safetensors"
    )
    study = commands.add_parser("alpha-study", parents=[data], help="show the effect of the L2 penalty alpha")
    study.add_argument("--output", type=Path, metavar="DIR", default=Path("alpha"), help="default alpha, here")
    example = commands.add_parser("higham", help="train the lecture's worked example, ten points in the plane")
    example.add_argument(
        "--steps", type=int, default=1_000_000, metavar="NUMBER", help="default %(default)s, as in the paper"
    )
    example.add_argument(
        "--seed",
        type=int,
        # With this seed the training converges sooner than with most.
        default=5,
        metavar="NUMBER",
        help="of the initial parameters and the order of the points; default %(default)s",
    )
    example.add_argument("--output", type=Path, metavar="DIR", default=Path("higham"), help="default higham, here")
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


def _fit(arguments: argparse.Namespace, recipe: Recipe, parts: Mapping[str, Part], console: Console) -> None:
    # Imported here: the import of scikit-learn takes a second, and other commands do not need it.
    from training.fitting import Epoch, fit  # noqa: PLC0415
    from training.packing import pack  # noqa: PLC0415

    digits, data = mnist.load(mnist.find(arguments.data), parts), mnist.checksums(parts)
    classes = sorted(set(arguments.classes)) if arguments.classes else None
    if classes:
        if len(classes) == 1:
            message = f"--classes {classes[0]} is a single class: give two digits or more"
            raise TrainingError(message)
        digits = digits.only(classes)
    name = "-".join([recipe.name, *map(str, classes or ())])
    output: Path = arguments.output or Path(f"{name}.safetensors")
    checkpoint = output.with_name(f"{output.name}.checkpoint.npz")
    fingerprint = checkpoints.fingerprint(recipe, data, classes)
    state = checkpoints.load(checkpoint, fingerprint) if arguments.resume else checkpoints.INITIAL
    n_epochs = recipe.schedule.epochs if recipe.schedule else None
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("epoch {task.completed}/{task.total}  {task.fields[measured]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not n_epochs) as bars:
        task = bars.add_task(recipe.name, total=n_epochs, completed=len(state.losses), measured="")

        def report(epoch: Epoch, after: Checkpoint) -> None:
            checkpoints.save(checkpoint, after, fingerprint)
            measured = f"loss {epoch.loss:.4f}  validation error {epoch.validation_error:.2%}"
            bars.update(task, completed=epoch.number, measured=measured)

        fitted = fit(recipe, digits.train, report, state)
    model = pack(fitted, recipe, digits, data, arguments.name)
    for name, value in model.metadata.figures.items():
        console.print(f"{name.replace('_', ' ')} {value:.4f}")
    written = model.save(output)
    fit_time.save(output, written.version, fitted.seconds)
    checkpoint.unlink(missing_ok=True)
    console.print(f"{written.network!r}, version {written.version}, is in {output}")
    _warn_without_detector(written, console)


def _warn_without_detector(model: Artifact, console: Console) -> None:
    """Say so where a model has no OOD detector, and what follows."""
    if model.detector is None:
        console.print("it has no OOD detector: it answers every picture with one of its digits, never `not_a_digit`")


def _model_name(text: str) -> str:
    """Return the name of a model, which is part of URLs. Raises ArgumentTypeError for other characters."""
    if not _NAME.fullmatch(text):
        message = "a model's name has letters, digits, `.`, `_` and `-`, and begins with a letter or digit"
        raise argparse.ArgumentTypeError(message)
    return text


def _refit_reading(arguments: argparse.Namespace, parts: Mapping[str, Part], console: Console) -> None:
    from training.packing import refit_reading  # noqa: PLC0415

    model = artifact.load(arguments.model)
    digits = mnist.load(mnist.find(arguments.data), parts).only(model.network.classes)
    written = refit_reading(model, digits).save(arguments.output)
    console.print(f"{written.network!r}, version {written.version}, is in {arguments.output}")


def _evaluate(arguments: argparse.Namespace, parts: Mapping[str, Part], console: Console) -> None:
    classifier = Classifier.load(arguments.model)
    console.print(f"{classifier.model.network!r}, version {classifier.model.version}")
    if arguments.pictures is not None:
        _evaluate_pictures(classifier, arguments.pictures, arguments.sheet, console)
        return
    if arguments.numbers is not None:
        _evaluate_numbers(classifier, arguments.numbers, arguments.sheet, console)
        return
    test = mnist.load(mnist.find(arguments.data), parts).test.only(classifier.model.network.classes)
    if not len(test):
        message = f"MNIST's test digits are none of this model's classes, {list(classifier.model.network.classes)}"
        raise TrainingError(message)
    console.print(f"error on the {len(test):,} MNIST test digits: {error(classifier, test)}")


def _evaluate_pictures(classifier: Classifier, directory: Path, sheet_path: Path, console: Console) -> None:
    readings = read(classifier, directory)
    for folder, misread in readings.errors().items():
        console.print(f"{folder:<32} {misread}")
    for folder, accepted in readings.false_accepts().items():
        console.print(f"{folder:<32} no digits, verdict clear: {accepted}")
    console.print(f"macro average over {len(readings.digits)} folders: {readings.macro_average:.2%} misread")
    if readings.misread:
        write_file(sheet_path, partial(sheet(readings.misread).save, format="PNG"))
        console.print(f"{len(readings.misread)} misread pictures, beside the network's input, are in {sheet_path}")
    for reason, files in readings.skipped.items():
        names = ", ".join(str(file.relative_to(directory)) for file in files)
        console.print(f"{len(files)} skipped, {reason}: {names}")


def _evaluate_numbers(classifier: Classifier, directory: Path, sheet_path: Path, console: Console) -> None:
    found = numbers.read_numbers(Reader(classifier), directory)
    for folder, results in found.by_folder().items():
        n_right = sum(result.is_right for result in results)
        console.print(f"{folder:<32} {n_right} of {len(results)} right")
    console.print(
        f"handwriting in lines, {found.n_counted} pictures, averaged over folders: "
        f"{found.digits_right:.2%} of the digits right, {found.pictures_right:.2%} of the pictures right as a whole"
    )
    console.print(f"clear: {found.clear.n} of {found.n_counted}, {found.clear.wrong} of them wrong")
    if found.misread:
        write_file(sheet_path, partial(numbers.sheet(found.misread).save, format="PNG"))
        console.print(f"{len(found.misread)} misread pictures, with the boxes of their digits, are in {sheet_path}")


def _report(arguments: argparse.Namespace, parts: Mapping[str, Part], console: Console) -> None:
    from training.fitting import fit  # noqa: PLC0415
    from training.packing import pack  # noqa: PLC0415
    from training.report import N_STEPS, measure, save  # noqa: PLC0415

    model = artifact.load(arguments.model)
    if arguments.card is not None:
        card.schedule_of(model)  # fails before the long evaluation, not after it
    digits = mnist.load(mnist.find(arguments.data), parts).only(model.network.classes)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        task = bars.add_task("the lecture's network, as the baseline", total=N_STEPS + 1)
        with redirect_stdout(io.StringIO()):  # scikit-learn's own progress
            fitted = fit(LECTURE, digits.train, lambda *_: None)
        baseline = pack(fitted, LECTURE, digits, mnist.checksums(parts))
        minutes = fit_time.minutes(arguments.model, model)
        facts, figures = measure(
            model, baseline, digits.test, lambda step: bars.update(task, description=step, advance=1), minutes
        )
        bars.update(task, description="measured", advance=1)
    save(arguments.output, facts, figures)
    console.print(f"error on the {len(digits.test):,} MNIST test digits: {facts['test']['error']:.2%}")
    console.print(f"{len(figures)} figures and report.json are in {arguments.output}")
    if arguments.card is not None:
        figures_from_card = os.path.relpath(arguments.output, arguments.card.parent)
        text = card.write(model, facts, arguments.model.stat().st_size, Path(figures_from_card).as_posix())
        write_file(arguments.card, lambda file: file.write(text.encode()))
        console.print(f"the model card is {arguments.card}")


def _export(arguments: argparse.Namespace, console: Console) -> None:
    from training.export import fold_temperature, to_classifier  # noqa: PLC0415
    from training.interchange import from_skops, to_onnx_bytes, to_skops_bytes  # noqa: PLC0415
    from training.packing import pack_foreign  # noqa: PLC0415

    output: Path = arguments.output
    if arguments.source is not None:
        foreign = from_skops(arguments.source)
        largest_input = foreign.largest_input(arguments.largest_input)
        if arguments.largest_input is None:
            console.print(f"its inputs were pixels 0..{largest_input:g}, by its {foreign.scaler}")
        model = pack_foreign(foreign.classifier, largest_input)
    else:
        model = artifact.load(arguments.model)
    if output.suffix == ".safetensors":
        written = model.save(output)
        console.print(f"{written.network!r}, version {written.version}, is in {output}")
        _warn_without_detector(written, console)
        return
    writers = {".onnx": to_onnx_bytes, ".skops": to_skops_bytes}
    if output.suffix not in writers:
        message = f"{output} must end in .onnx, .skops or .safetensors: the suffix determines the format"
        raise TrainingError(message)
    classifier = to_classifier(fold_temperature(model.network, model.metadata.calibration.temperature))
    content = writers[output.suffix](classifier)
    write_file(output, lambda file: file.write(content))
    console.print(f"{model.network!r} is in {output}: inputs are pixels 0..1, outputs the calibrated probabilities")


def _alpha_study(arguments: argparse.Namespace, parts: Mapping[str, Part], console: Console) -> None:
    from training import alpha  # noqa: PLC0415
    from training.report import save  # noqa: PLC0415

    train = mnist.load(mnist.find(arguments.data), parts).train
    effects = alpha.study(
        train,
        progress=lambda effect: console.print(
            f"alpha {effect.alpha:<8g} training accuracy {effect.training_accuracy:.2%}, "
            f"validation accuracy {effect.validation_accuracy:.2%}; norm of the weights {effect.weight_norm:.2f}"
        ),
    )
    save(arguments.output, alpha.record(effects), alpha.make_figures(effects))
    console.print(f"figures and report.json are in {arguments.output}")


def _higham(arguments: argparse.Namespace, console: Console) -> None:
    from training import higham  # noqa: PLC0415
    from training.report import save  # noqa: PLC0415

    if arguments.steps < 1 or arguments.seed < 0:
        message = "--steps must be 1 or more, --seed 0 or more"
        raise TrainingError(message)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("step {task.completed:,}/{task.total:,}  cost {task.fields[cost]:.1e}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bars:
        task = bars.add_task("higham", total=arguments.steps, cost=float("nan"))
        trained = higham.train(
            arguments.steps, arguments.seed, lambda done, cost: bars.update(task, completed=done, cost=cost)
        )
    facts = {
        "seed": arguments.seed,
        "steps": arguments.steps,
        "cost": trained.costs[arguments.steps],
        "right": higham.n_correct(trained.parameters),
    }
    save(arguments.output, facts, higham.make_figures(trained))
    console.print(f"cost {facts['cost']:.1e}, {facts['right']} of 10 points correctly classified")
    console.print(f"figures and report.json are in {arguments.output}")
