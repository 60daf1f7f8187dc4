"""`check_folder` finds what PIL refuses, and what libjpeg warns about; nothing else."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
from PIL import Image

from perfsuite.cli import main
from perfsuite.data.check import ImageProblem, check_folder
from perfsuite.data.decoding import region
from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.files import image_folder
from perfsuite.data.sources.splits import SPLITS
from perfsuite.errors import DataError
from tests.data.decoding.test_damaged import mutated_files, undamaged_files
from tests.data.images import block_image, encode


def damaged_scan() -> bytes:
    """Pillow accepts it: a part of the entropy-coded data is missing."""
    data = undamaged_files()[0]
    middle = len(data) // 2
    return data[:middle] + data[middle + 300 :]


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Flawless files of every kind, one file that is refused, and one that is damaged."""
    folder = tmp_path / "images"
    (folder / "a" / "b").mkdir(parents=True)
    for number, data in enumerate(undamaged_files()):
        (folder / "a" / f"{number}.jpg").write_bytes(data)
    exif = Image.Exif()
    exif[0x0112] = 6
    (folder / "a" / "rotated.jpeg").write_bytes(encode(block_image(), "JPEG", exif=exif))
    (folder / "a" / "cmyk.jpg").write_bytes(encode(block_image("CMYK"), "JPEG"))
    (folder / "a" / "padded.jpg").write_bytes(undamaged_files()[0] + b"\0" * 30)
    (folder / "top.png").write_bytes(encode(block_image("RGBA"), "PNG"))
    (folder / "notes.txt").write_text("not an image")
    (folder / "a" / "b" / "cut.jpg").write_bytes(undamaged_files()[0][:-900])
    (folder / "a" / "b" / "gap.jpg").write_bytes(damaged_scan())
    return folder


@pytest.mark.parametrize("has_region_decoder", [True, False])
def test_it_finds_the_refused_and_the_damaged_file(
    mixed: Path, monkeypatch: pytest.MonkeyPatch, has_region_decoder: bool
) -> None:
    if not has_region_decoder:
        monkeypatch.setattr(region, "is_available", lambda: False)
    report = check_folder(mixed, workers=2)
    assert report.files == len(undamaged_files()) + 6
    assert [(problem.file, problem.kind) for problem in report.problems] == [
        ("a/b/cut.jpg", "unreadable"),
        ("a/b/gap.jpg", "damaged"),
    ]
    assert "Corrupt JPEG data" in report.problems[1].reason


def test_unreadable_are_exactly_the_files_that_a_loader_refuses(tmp_path: Path) -> None:
    (tmp_path / "class").mkdir()
    for number, data in enumerate(mutated_files(80, seed=21)):
        (tmp_path / "class" / f"{number:03d}.jpg").write_bytes(data)
    source = image_folder(tmp_path)
    loader = make_loaders(
        dict.fromkeys(SPLITS, source), 8, 0, image_size=32, on_error="skip", val_crop="center"
    ).val
    for _ in loader:
        pass
    problems = check_folder(tmp_path).problems
    unreadable = {problem.file for problem in problems if problem.kind == "unreadable"}
    assert unreadable == set(loader.faults.reasons)
    assert 5 < len(unreadable) < 75
    assert {problem.kind for problem in problems} == {"unreadable", "damaged"}


def test_files_that_are_not_regular_or_too_large_are_problems(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "absent")
    bomb = io.BytesIO()
    Image.new("1", (40_000, 40_000)).save(bomb, "PNG")
    (tmp_path / "huge.png").write_bytes(bomb.getvalue())
    problems = check_folder(tmp_path).problems
    assert [problem.file for problem in problems] == ["dangling.jpg", "fifo.jpg", "huge.png"]
    assert "claims 40,000 x 40,000 pixels" in problems[2].reason
    assert problems[0] == ImageProblem("dangling.jpg", "unreadable", "No such file or directory")


def test_the_files_are_those_that_a_loader_finds(tmp_path: Path) -> None:
    """In a linked folder, and not in a hidden one."""
    for folder in ("images/class", "elsewhere", "images/.hidden"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "cut.jpg").write_bytes(undamaged_files()[0][:-900])
    (tmp_path / "images" / "class" / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    source = image_folder(tmp_path / "images")
    problems = check_folder(tmp_path / "images").problems
    assert [problem.file for problem in problems] == ["class/cut.jpg", "class/linked/cut.jpg"]
    assert {problem.file for problem in problems} == {source.name(row) for row in range(len(source))}


def test_a_folder_that_contains_itself_is_an_error_here_as_for_a_loader(tmp_path: Path) -> None:
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "a.jpg").write_bytes(undamaged_files()[0])
    (tmp_path / "class" / "again").symlink_to(tmp_path, target_is_directory=True)
    for open_folder in (image_folder, check_folder):
        with pytest.raises(DataError, match="a link to a folder that contains it"):
            open_folder(tmp_path)


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no images found, expected files named \.bmp"):
        check_folder(tmp_path)


def test_the_command_reports_and_has_an_exit_code(
    mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "report.json"
    assert main(["data", "check", str(mixed), "--workers", "2", "--json", str(target)]) == 13
    out = capsys.readouterr().out
    assert f"{mixed}/a/b/cut.jpg: unreadable: " in out
    assert f"{mixed}/a/b/gap.jpg: damaged: Corrupt JPEG data" in out
    assert out.endswith("12 files, 1 unreadable, 1 damaged\n")
    stored = json.loads(target.read_text())
    assert (stored["folder"], stored["files"]) == (str(mixed), 12)
    assert [problem["kind"] for problem in stored["problems"]] == ["unreadable", "damaged"]
    for name in ("cut", "gap"):
        (mixed / "a" / "b" / f"{name}.jpg").unlink()
    assert main(["data", "check", str(mixed), "--json", "-"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["problems"] == []
    assert captured.err.endswith("10 files, 0 unreadable, 0 damaged\n")


def test_the_command_refuses_a_folder_that_does_not_exist(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "check", str(tmp_path / "absent")]) == 2
    assert "no such file or folder" in capsys.readouterr().err


def test_control_characters_in_a_name_do_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "\x1b[31mred\n.jpg").write_bytes(b"")
    assert main(["data", "check", str(tmp_path)]) == 13
    assert "\x1b" not in capsys.readouterr().out
