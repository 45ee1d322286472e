"""The command line of the models: ``python -m orangecontrib.imageanalytics models list``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics import models
from orangecontrib.imageanalytics.exit_code import exit_code_of
from orangecontrib.imageanalytics.models import Kind, Model, Section, downloaded
from orangecontrib.imageanalytics.outcome import EmbeddingError, UnknownModelError

if TYPE_CHECKING:
    from orangecontrib.imageanalytics.models.checking import Eyes

_PROGRAM = "python -m orangecontrib.imageanalytics models"


def is_meant(arguments: Sequence[str]) -> bool:
    """Whether these are for here: a folder of images may be called "models", too."""
    return arguments[:1] == ["models"] and (
        (len(arguments) > 1 and arguments[1] in (*_COMMANDS, "-h", "--help"))
        or (len(arguments) == 1 and not Path("models").exists())
    )


def main(arguments: Sequence[str], embeds: Callable[[Path | None], Eyes]) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str
        What follows ``models``.
    embeds : callable
        Gives what embeds with the models of a folder; this room does not know how.

    Returns
    -------
    int
        0 when it was done, 1 when it could not be.

    Raises
    ------
    SystemExit
        With 2 when the arguments are wrong.
    """
    parser = _parser()
    options = parser.parse_args(arguments, argparse.Namespace(embeds=embeds))
    return exit_code_of(
        lambda: _COMMANDS[options.command](options),
        parser,
        "what has arrived is kept for the next time",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM, description="List, download, remove, add and check models."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    whole = argparse.ArgumentParser(add_help=False)
    whole.add_argument(
        "--models-folder",
        type=Path,
        metavar="FOLDER",
        help=f"where models are kept (here: {models.default_folder()})",
    )

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, parents=[whole])

    command("list", "list all models")
    get = command("get", "download models; no image is sent")
    get.add_argument("models", nargs="+", metavar="ID")
    remove = command("remove", "delete downloaded models")
    remove.add_argument("models", nargs="+", metavar="ID")
    add = command(
        "add",
        "add a model of your own: an ONNX file, one of the hub, or what the authors of Painters, "
        "DeepLoc or Inception v3 published",
    )
    add.add_argument(
        "source",
        nargs="+",
        metavar="SOURCE",
        help="FILE.onnx; hf:OWNER/NAME/PATH[@REVISION]; painters FILE.h5 FOLDER-OF-PAINTINGS; "
        "deeploc CHECKPOINT; inception-v3 FILE.pth",
    )
    add.add_argument("--name", help="the model's id; that of the file unless told otherwise")
    add.add_argument(
        "--config", type=Path, metavar="JSON", help="mean, std and input_size of the network"
    )
    add.add_argument(
        "--output",
        metavar="TENSOR",
        help="the tensor that is the embedding; unless told otherwise, what goes into the "
        "classifier",
    )
    add.add_argument(
        "--pooling",
        default="none",
        choices=["none", "class", "tokens", "spatial"],
        help="how one vector is made of --output: its class token, the mean of its tokens, or the "
        "mean over all places",
    )
    check = command("check", "download models, embed the example photos, say what does not fit")
    check.add_argument("models", nargs="*", metavar="ID", help="all unless named")
    return parser


def _list(options: argparse.Namespace) -> int:
    found = models.find(options.models_folder)
    for section in Section:
        listed = [model for model in found.models.values() if model.section is section]
        if listed:
            print(f"{section}:")
        for model in listed:
            print(f"  {model.id:21} {model.title:29} {model.dimension:>6} numbers  {_about(model)}")
    for problem in found.problems:
        print(f"warning: {problem.message}", file=sys.stderr)
    return 0


def _about(model: Model) -> str:
    size = 0
    if model.weights is not None:
        size = model.weights.stat().st_size
    elif model.download is not None:
        size = model.download.size
    parts = [f"{size / 1e6:.0f} MB"] if size else []
    return ", ".join([*parts, model.licence])


def _downloadable(options: argparse.Namespace) -> list[Model]:
    """The models that are named, all of which have to be of those that can be downloaded."""
    named = [models.get(id_, options.models_folder) for id_ in options.models]
    for model in named:
        if model.kind is not Kind.DOWNLOADABLE:
            where = "runs on a server" if model.kind is Kind.SERVER else "is here already"
            raise UnknownModelError(f"{model.id} {where}; it is none of those to download.")
    return named


def _get(options: argparse.Namespace) -> int:
    for model in _downloadable(options):
        if model.weights is None:
            model = _fetch(model, options.models_folder)
        print(f"{model.id}: {model.weights}")
    return 0


def _fetch(model: Model, folder: Path | None) -> Model:
    from orangecontrib.imageanalytics.models.downloading import download, progress_bar

    with progress_bar(model.id) as callback:
        return download(model, folder, callback)


def _remove(options: argparse.Namespace) -> int:
    status = 0
    for model in _downloadable(options):
        try:
            freed = downloaded.remove(model, options.models_folder)
        except OSError as error:
            print(f"error: {error}", file=sys.stderr)
            status = 1
            continue
        print(f"{model.id}: {freed / 1e6:.0f} MB freed" if freed else f"{model.id}: not here")
    return status


def _add(options: argparse.Namespace) -> int:
    from orangecontrib.imageanalytics.models.adding import add
    from orangecontrib.imageanalytics.models.downloading import progress_bar

    with progress_bar(options.source[-1]) as callback:
        model = add(
            options.source,
            name=options.name,
            config=options.config,
            output=options.output,
            pooling=options.pooling,
            folder=options.models_folder,
            callback=callback,
        )
    print(f"{model.id}: {model.dimension} numbers per image, in {model.weights}")
    return 0


def _check(options: argparse.Namespace) -> int:
    from orangecontrib.imageanalytics.models.checking import check

    if not options.models:
        options.models = [
            model.id for model in models.of_catalogue().values() if model.kind is Kind.DOWNLOADABLE
        ]
    status = 0
    for model in _downloadable(options):
        try:
            if model.weights is None:
                model = _fetch(model, options.models_folder)
            problems = check(model, options.embeds(options.models_folder))
        except EmbeddingError as error:
            problems = [str(error)]
        print(f"{model.id}: {'; '.join(problems) or 'fits'}", flush=True)
        status = status or int(bool(problems))
    return status


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "list": _list,
    "get": _get,
    "remove": _remove,
    "add": _add,
    "check": _check,
}
