"""Find out where the time goes: in the transforms of a pipeline, or in the stages of loading.

perfsuite profile transforms --pipeline albumentations --size 1280x720
perfsuite profile loading --data-dir images/ --mode moderate
"""

from __future__ import annotations

import argparse

from perfsuite.cli import profile_loading, profile_transforms

KINDS = {"transforms": profile_transforms, "loading": profile_loading}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    for name, module in KINDS.items():
        told = module.__doc__ or ""
        kind = kinds.add_parser(
            name,
            help=told.partition("\n")[0],
            description=told,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(kind)


def run(arguments: argparse.Namespace) -> int:
    return int(KINDS[arguments.what].run(arguments))
