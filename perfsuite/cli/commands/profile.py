"""Find where the time goes: in the transforms of a pipeline, or in the stages of loading.

perfsuite profile transforms --pipeline albumentations --input-size 1280x720
perfsuite profile loading --data-dir images/ --augmentation-mode moderate
"""

from __future__ import annotations

import argparse

from perfsuite.cli import profile_loading, profile_transforms


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="WHAT")
    for name, module in {"transforms": profile_transforms, "loading": profile_loading}.items():
        action = actions.add_parser(
            name,
            help=(module.__doc__ or "").partition("\n")[0].rstrip("."),
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(action)
        action.set_defaults(act=module.run)


def run(arguments: argparse.Namespace) -> int:
    return int(arguments.act(arguments))
