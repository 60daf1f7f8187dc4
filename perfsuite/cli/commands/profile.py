"""Find where the time goes: transforms, stages of loading, stages of a training step, whole processes.

  perfsuite profile transforms --pipeline albumentations --input-size 1280x720
  perfsuite profile loading --data-dir images/ --augmentation-mode moderate
  perfsuite profile step --data-dir images/ --model resnet18
  perfsuite profile processes --command "python a.py" --command "python b.py"

Each has its own options: `perfsuite profile loading --help`.
"""

from __future__ import annotations

import argparse

from perfsuite.cli import profile_loading, profile_processes, profile_step, profile_transforms

ACTIONS = {
    "transforms": profile_transforms,
    "loading": profile_loading,
    "step": profile_step,
    "processes": profile_processes,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="WHAT")
    for name, module in ACTIONS.items():
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
