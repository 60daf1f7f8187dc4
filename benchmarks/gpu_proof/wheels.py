"""Wheels of what a GPU machine lacks: downloaded where there is a network, and carried there.

python -m benchmarks.gpu_proof.wheels --out wheels
make gpu-proof WHEELS=wheels
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from email.parser import HeaderParser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.tags import sys_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

from benchmarks.gpu_proof.stage import ROOT
from perfsuite.errors import PerfsuiteError, UsageError

NEEDED = ("albumentations", "kornia", "simplejpeg", "shtab")
# These a GPU machine has, in builds of its own, and with them what they require.
PRESENT = frozenset({"numpy", "opencv-python-headless", "pillow", "scipy", "torch", "torchvision"})
TARGET: Mapping[str, str] = {
    "python_version": "3.12",
    "python_full_version": "3.12.0",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_machine": "x86_64",
}
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_27_x86_64", "manylinux_2_28_x86_64")
MAX_BYTES = 64 << 20
Download = Callable[[Sequence[str], Path], None]  # requirements, folder


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "benchmarks.gpu_proof.wheels",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the wheels")
    arguments = parser.parse_args(words)
    try:
        wheels = prepare(arguments.out, read_constraints(ROOT / "constraints.txt"))
    except PerfsuiteError as error:
        print(f"wheels: {error}", file=sys.stderr)
        return error.exit_code
    for wheel in wheels:
        print(f"{wheel.stat().st_size / 2**20:8.2f} MiB  {wheel.name}")
    print(
        f"{_total_bytes(wheels) / 2**20:8.2f} MiB  in {arguments.out}; make gpu-proof WHEELS={arguments.out}"
    )
    return 0


def read_constraints(path: Path) -> dict[str, str]:
    """The pinned version of each name."""
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.split("==") for line in lines if "==" in line)
    return {canonicalize_name(name): version for name, version in pairs}


def prepare(
    folder: Path,
    versions: Mapping[str, str],
    needed: Sequence[str] = NEEDED,
    download: Download | None = None,
) -> list[Path]:
    """Download what is needed, and what that requires in turn; return the wheels."""
    folder.mkdir(parents=True, exist_ok=True)
    known: dict[str, Path] = {}
    waiting = [Requirement(name) for name in needed]
    while waiting:
        missing = {canonicalize_name(each.name): each for each in waiting}
        requirements = [_pinned(each, versions) for each in missing.values()]
        (download or download_wheels)(requirements, folder)
        found = _wheels_by_name(folder)
        if absent := [_pinned(each, versions) for name, each in missing.items() if name not in found]:
            raise PerfsuiteError(f"{', '.join(absent)}: no wheel was downloaded, expected one of each")
        known |= {name: found[name] for name in missing}
        required = [each for name in missing for each in required_by(found[name])]
        waiting = [each for each in required if canonicalize_name(each.name) not in PRESENT | set(known)]
    wheels = sorted(known.values())
    if (total := _total_bytes(wheels)) > MAX_BYTES:
        raise PerfsuiteError(
            f"{total / 2**20:.1f} MiB of wheels, expected at most {MAX_BYTES >> 20}; carry less"
        )
    return wheels


def download_wheels(requirements: Sequence[str], folder: Path) -> None:
    """Have pip download a wheel of each for the GPU machine, without what they require."""
    command = [
        sys.executable,
        "-m",
        "uv",
        "tool",
        "run",
        "--quiet",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
    ]
    command += ["--only-binary=:all:", "--python-version", TARGET["python_version"], "--dest", str(folder)]
    command += [word for platform in PLATFORMS for word in ("--platform", platform)]
    done = subprocess.run([*command, *requirements], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        reason = (lines or done.stderr.splitlines() or [f"exit code {done.returncode}"])[-1]
        raise PerfsuiteError(f"{', '.join(requirements)}: not downloaded: {reason.removeprefix('ERROR: ')}")


def required_by(wheel: Path) -> list[Requirement]:
    """What a wheel requires on the GPU machine, without its extras."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [each for each in archive.namelist() if each.endswith(".dist-info/METADATA")]
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    requirements = map(Requirement, metadata.get_all("Requires-Dist", []))
    return [each for each in requirements if not each.marker or each.marker.evaluate({**TARGET, "extra": ""})]


@contextmanager
def wheels_on_path(folder: Path | None) -> Iterator[None]:
    """Unpack the wheels into a temporary folder, which processes that are started here import from."""
    if folder is None:
        yield
        return
    before = os.environ.get("PYTHONPATH")
    with tempfile.TemporaryDirectory(prefix="wheels-") as packages:
        unpack(folder, Path(packages))
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [packages, before]))
        try:
            yield
        finally:
            if before is None:
                del os.environ["PYTHONPATH"]
            else:
                os.environ["PYTHONPATH"] = before


def unpack(folder: Path, packages: Path) -> None:
    """UsageError where there is no wheel, one of `NEEDED` is missing, or one is for another Python."""
    wheels = _wheels_by_name(folder)
    if absent := [name for name in NEEDED if name not in wheels]:
        raise UsageError(
            f"{folder}: no wheel of {', '.join(absent)}; download them with "
            f"python -m benchmarks.gpu_proof.wheels --out {folder}"
        )
    tags = set(sys_tags())
    for wheel in wheels.values():
        if tags.isdisjoint(parse_wheel_filename(wheel.name)[3]):
            raise UsageError(
                f"{wheel}: not for this Python {sys.version.split()[0]}, expected {TARGET['python_version']}"
            )
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(packages)


def _pinned(requirement: Requirement, versions: Mapping[str, str]) -> str:
    version = versions.get(canonicalize_name(requirement.name))
    return f"{requirement.name}=={version}" if version else f"{requirement.name}{requirement.specifier}"


def _wheels_by_name(folder: Path) -> dict[str, Path]:
    return {parse_wheel_filename(wheel.name)[0]: wheel for wheel in sorted(folder.glob("*.whl"))}


def _total_bytes(wheels: Sequence[Path]) -> int:
    return sum(wheel.stat().st_size for wheel in wheels)


if __name__ == "__main__":
    sys.exit(main())
