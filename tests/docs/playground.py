"""The folder that pages assume: images, annotations, maps, a package and benchmarks, in a git repository."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from perfsuite.cli.commands.advise import HEADER
from perfsuite.data.sources.annotation_formats import read_annotations
from perfsuite.data.sources.maps import store_maps
from perfsuite.data.synthetic import dataset
from tests.docs.pages import blocks

PACKAGE = """
from torch import nn
from torch.utils.data import DataLoader
from perfsuite.data import FastImageFolder

def make_loader(num_workers=0):
    return DataLoader(FastImageFolder("images", image_size=32), batch_size=8, num_workers=num_workers)

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.LazyLinear(2))
"""
PIPELINES = """
def validation(image):
    return image[::2, ::2]
"""
BENCHMARKS = """
def test_jpeg(perf):
    perf(lambda: sum(range(1000)))

def test_sorting(perf):
    perf(lambda: sorted(range(1000, 0, -1)))
"""


@dataclass(frozen=True, slots=True)
class Playground:
    """A folder in which the code of a page runs."""

    root: Path

    def write_files(self, page: str) -> None:
        """Write the blocks that name their file; the last of a name wins."""
        for block in blocks(page, "python", "toml"):
            if block.file is not None:
                path = self.root / block.file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text)

    def commit(self) -> None:
        """Commit everything as v1.2, then once more as main, here and at origin; leave a file uncommitted."""
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
        for words in (
            ["init", "--quiet", "--initial-branch", "main"],
            ["config", "user.name", "a"],
            ["config", "user.email", "a@example.org"],
            ["add", "."],
            ["commit", "--quiet", "--message", "Begin"],
            ["tag", "v1.2"],
            ["commit", "--quiet", "--allow-empty", "--message", "Continue"],
            ["update-ref", "refs/remotes/origin/main", "HEAD"],
        ):
            subprocess.run([*git, *words], cwd=self.root, check=True)
        (self.root / "notes.txt").write_text("A gate refuses to compare a commit with itself.\n")


def make_playground(root: Path) -> Playground:
    """Fill an empty folder."""
    images = dataset.make_dataset(root / "images", images=24, classes=2, size=(96, 64))
    for name in ("labels.csv", "annotations.json"):
        shutil.copy(images / name, root / name)
    store_maps(read_annotations(root / "annotations.json"), root / "maps")
    shutil.copy(next((images / "class_00").glob("*.jpg")), root / "image.jpg")
    package = root / "my_package"
    package.mkdir()
    for name in ("__init__", "data", "models"):
        (package / f"{name}.py").write_text(PACKAGE)
    (package / "pipelines.py").write_text(PIPELINES)
    (root / "benchmarks").mkdir()
    (root / "benchmarks" / "test_decode.py").write_text(BENCHMARKS)
    (root / "loader-settings.toml").write_text(f"{HEADER}\nnum_workers = 1\n")
    (root / "train.toml").write_text("epochs = 1\n")
    (root / ".gitignore").write_text("images\nmaps\n.perfsuite\n*.pth\n__pycache__\n")
    return Playground(root)
