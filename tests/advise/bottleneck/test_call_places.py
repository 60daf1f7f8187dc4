"""Which stage a function belongs to, and the time that a profile attributes to it; the clock is invented."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from perfsuite.advise.bottleneck.call_places import CallProfile, profile_calls, stage_of_call
from perfsuite.advise.bottleneck.stages import CallShares, split_lumps


@pytest.mark.parametrize(
    ("name", "module", "stage"),
    [
        ("imdecode", "cv2", "decode"),
        ("ImagingDecoder.decode", "", "decode"),
        ("BufferedReader.read", "_io", "read"),
        ("open", "io", "read"),
        ("open", "PIL.Image", "decode"),
        ("JpegImageFile.load_prepare", "PIL.JpegImagePlugin", "decode"),
        ("Image.resize", "PIL.Image", "transform"),
        ("mirror", "PIL.ImageOps", None),
        ("BytesIO.read", "", None),
        ("make_transform.<locals>.inner", "mine", None),
        ("ReadDataset.__getitem__", "mine", None),
        ("Resize.__call__", "mine", "transform"),
        ("RandomCrop.forward", "torchvision.transforms.v2", "transform"),
        ("thread", "mine", None),
        ("default_collate", "torch.utils.data", "collate"),
        ("_helper", "albumentations.core", "transform"),
        ("sleep", "time", None),
    ],
)
def test_a_function_says_by_its_name_or_module_what_it_does(
    name: str, module: str, stage: str | None
) -> None:
    assert stage_of_call(name, module) == stage


class StepClock:
    """A clock that the profiled code itself moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_time_belongs_to_the_innermost_function_that_has_a_stage() -> None:
    clock = StepClock()

    def wait(seconds: float) -> None:
        clock.now += seconds

    def slow_decode() -> None:
        wait(5)
        read_bytes()

    def read_bytes() -> None:
        wait(1)

    def getitem() -> None:
        wait(0.5)
        slow_decode()

    profile = profiled(clock, getitem)
    assert dict(profile.seconds) == pytest.approx({None: 0.5, "decode": 5, "read": 1})


def profiled(clock: Callable[[], float], call: Callable[[], None]) -> CallProfile:
    profile = CallProfile(clock)
    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(before)
    return profile


def test_an_exception_does_not_leave_its_function_in_charge() -> None:
    clock = StepClock()

    def fail_to_decode() -> None:
        raise ValueError

    def getitem() -> None:
        try:
            fail_to_decode()
        except ValueError:
            clock.now += 3

    assert profiled(clock, getitem).seconds[None] == 3


def test_the_profile_function_of_before_is_restored(tmp_path: Path) -> None:
    before = sys.getprofile()
    with profile_calls() as profile:
        (tmp_path / "a").write_bytes(b"a")
        (tmp_path / "a").read_bytes()
    assert sys.getprofile() is before
    assert profile.seconds["read"] > 0


def test_lumps_are_split_and_known_stages_stay() -> None:
    shares = CallShares({"read": 0.5, "transform": 0.25, None: 0.25})
    split = split_lumps({"dataset": 6.0, "transform": 2.0}, shares)
    assert split == pytest.approx({"transform": 2.0, "read": 4.0, "dataset": 2.0})
    assert sum(split.values()) == pytest.approx(8.0)


def test_what_waits_without_a_name_is_storage_and_what_computes_is_the_data_set() -> None:
    nameless: dict[str | None, float] = {None: 1.0}
    assert split_lumps({"dataset": 1.0}, CallShares(nameless, waiting=0.9)) == pytest.approx(
        {"read": 0.9, "dataset": 0.1}
    )
    assert split_lumps({"dataset": 1.0}, CallShares(nameless, waiting=0.1)) == {"dataset": 1.0}
