"""What a measuring command loads: images in a folder, or a Dataset or a loader of the user's own."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from perfsuite.cli.arguments import Options, add_data_dir_argument
from perfsuite.errors import UsageError

if TYPE_CHECKING:
    from perfsuite.advise.inputs.loaders import UserLoader


def add_loader_arguments(options: Options) -> None:
    """--data-dir, --dataset and --loader; the user gives at most one of them."""
    add_data_dir_argument(options)
    options.add_argument("--dataset", metavar="MODULE:NAME", help="a Dataset of yours instead of images")
    options.add_argument("--loader", metavar="MODULE:NAME", help="a loader of yours instead of images")


def loader_argv(arguments: argparse.Namespace) -> list[str]:
    """The words that repeat the options of `add_loader_arguments`."""
    options = {"--data-dir": arguments.data_dir, "--dataset": arguments.dataset, "--loader": arguments.loader}
    return [word for option, value in options.items() if value is not None for word in (option, str(value))]


def user_loader(arguments: argparse.Namespace) -> UserLoader | None:
    """The user's own loader or Dataset; None where images are loaded."""
    given = [
        f"--{name.replace('_', '-')}"
        for name in ("data_dir", "dataset", "loader")
        if getattr(arguments, name) is not None
    ]
    if len(given) > 1:
        raise UsageError(f"{arguments.command}: {' and '.join(given)}, expected one of them")
    from perfsuite.advise.inputs.loaders import load_user_dataset, load_user_loader

    if arguments.dataset is not None:
        return load_user_dataset(arguments.dataset, arguments.batch_size)
    if arguments.loader is not None:
        return load_user_loader(arguments.loader, arguments.batch_size)
    return None


def open_train_loader(arguments: argparse.Namespace, num_workers: int, **options: Any) -> Iterable[Any]:
    """The loader of training batches; `options` are those of make_loaders, for images.

    None leaves an option to make_loaders.
    """
    own = user_loader(arguments)
    if own is not None:
        return own.open(num_workers)
    from perfsuite.data.loaders import make_loaders
    from perfsuite.data.synthetic import dataset

    folder = arguments.data_dir or dataset.cached_dataset(images=96, classes=8)
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return make_loaders(folder, arguments.batch_size, num_workers, **given).train
    except (FileNotFoundError, ValueError) as error:  # how make_loaders refuses a folder or an option
        raise UsageError(str(error)) from error
