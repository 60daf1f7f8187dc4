"""The commands that several rows share, and the patterns of what they print.

Commands run in a folder with `images/`, `m.pth`, `sweep.toml` and `load_epochs.py`; those of pytest in the
repository. Rows with the same command share its run.
"""

from __future__ import annotations

SETUP = (
    "perfsuite data make images --images 64 --classes 4",
    "perfsuite train --data-dir images --image-size 64 --epochs 1 --quiet --model-path m.pth",
)

MODES = (
    "perfsuite sweep --data-dir images --num-workers 0,2,4,8 --model small --image-size 64 "
    "--augmentation-mode conservative moderate aggressive --seconds {long}"
)
ADVISE = "perfsuite advise --data-dir images --report advice --seconds {seconds}"
CLAIMS = "perfsuite claims --data-dir images"  # within its default limit of 320 s
STEP = "perfsuite profile step --data-dir images --augmentation-mode moderate --seconds {rounds}"
LOADING = (
    "perfsuite profile loading --data-dir images --augmentation-mode moderate --cold-files --seconds {rounds}"
)
PROCESSES = "perfsuite profile processes --seconds {seconds} " + " ".join(
    f"--command {kind}='python load_epochs.py {kind}'"
    for kind in ("files", "conditional", "cached", "disk", "normalized")
)


def bench(files: str, tests: str, options: str = "") -> str:
    paths = " ".join(f"benchmarks/{file}" for file in files.split())
    return (
        f"pytest {paths} -k '{tests}' --perf-max-time={{rounds}} --benchmark-max-time={{rounds}} "
        f"--perf-time-only --perf-no-save{options}"
    )


ALTERNATIVES = bench(
    "test_augment.py test_cache.py", "alternatives or when_to_augment or normalizing_once or gpu_against"
)
LOADERS = bench(
    "test_loaders.py",
    "prefetch_factor or persistent_workers or files_and_shards or installed_decoders or output_sizes or "
    "reduced_decoding",
)
MAPS = bench("test_cache.py", "maps_from_disk or map_file_formats or targets_overhead")


def rates(*arms: str) -> str:
    """The lines of these workloads in the table of `pytest benchmarks`."""
    return rf"^ +({'|'.join(arms)}) +[\d.,]+ \w+/s.*"


SETTING = r"^ *\d \w+( \+\d)?"  # the first cell of a row of a sweep, such as `8 threads +2`
