"""The modes, written once: what may happen to an image, and what does happen to one sample of one epoch.

    drawn = draw("moderate", seed=42, epoch=3, index=1017)     # the same in every worker, on every device
    image = on_image.apply(drawn, image)                 # uint8 HWC in and out, same size
    batch = on_device.augment(draws("moderate", 42, 3, indices), batch)    # uint8 NCHW in and out

Every mode leaves the size as it is: the loader resizes, then asks for a draw and applies it. What is drawn is
a `Draw`, one shape for all modes, whose defaults change nothing. The law, the same wherever it is built:

1. Geometry: zoom, rotation, quarter turns, mirroring and shift are one affine map, sampled once: bilinear,
   pixel centers at half integers, no antialiasing (zooms stay near 1), what lies outside is `fill` in pixel
   units. Mirroring and quarter turns alone move pixels and change none.
2. Color, as torchvision's ColorJitter on bytes in the order brightness, contrast (about the image's mean
   gray), saturation (about each pixel's gray); gray is 0.299 R + 0.587 G + 0.114 B.
3. Erasing: a rectangle becomes `fill`.

Geometry, brightness, contrast and saturation each end in bytes: clamped to 0..255, rounded half to even.

>>> [(name, len(mode.operations)) for name, mode in MODES.items()]
[('none', 0), ('conservative', 3), ('moderate', 6), ('aggressive', 8)]
>>> draw("moderate", seed=42, epoch=0, index=7) == draw("moderate", seed=42, epoch=0, index=7)
True
>>> draw("none", seed=42, epoch=0, index=7) == Draw()
True
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from perfsuite.transforms.augment.counter_rng import epoch_uniforms, sample_uniforms, uniforms

# A uniform number for one sample, or a column of them for many: the arithmetic below is the same for both.
Uniform: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Draw:
    """What happens to one sample. The defaults change nothing."""

    mirror: bool = False
    quarter_turns: int = 0  # counter-clockwise
    degrees: float = 0.0  # counter-clockwise
    zoom: float = 1.0
    shift_x: float = 0.0  # in widths, to the right
    shift_y: float = 0.0  # in heights, down
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    erase_top: float = 0.0  # in heights
    erase_left: float = 0.0  # in widths
    erase_height: float = 0.0
    erase_width: float = 0.0


@dataclass(frozen=True, slots=True)
class Draws:
    """The same for many samples: a row for each, a column for each field of `Draw`, in its order."""

    rows: NDArray[np.float64]

    @classmethod
    def of(cls, drawn: Sequence[Draw]) -> Draws:
        rows = [[float(getattr(one, name)) for name in DRAW_FIELDS] for one in drawn]
        return cls(np.array(rows).reshape(-1, len(DRAW_FIELDS)))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, sample: int) -> Draw:
        row = self.rows[sample].tolist()
        return Draw(bool(row[0]), int(row[1]), *row[2:])

    def column(self, name: str) -> NDArray[np.float64]:
        return self.rows[:, _COLUMNS[name]]


DRAW_FIELDS = tuple(field.name for field in fields(Draw))
_COLUMNS = {name: column for column, name in enumerate(DRAW_FIELDS)}
_IDENTITY_ROW = np.array([[float(getattr(Draw(), name)) for name in DRAW_FIELDS]])


@dataclass(frozen=True, slots=True)
class Mirror:
    """Left and right change places."""

    probability: float = 0.5
    random_slots: ClassVar[slice] = slice(0, 1)

    def sample_parameters(self, u: Sequence[Uniform]) -> dict[str, Any]:
        return {"mirror": u[0] < self.probability}


@dataclass(frozen=True, slots=True)
class QuarterTurns:
    """0, 90, 180 or 270 degrees."""

    random_slots: ClassVar[slice] = slice(1, 2)

    def sample_parameters(self, u: Sequence[Uniform]) -> dict[str, Any]:
        return {"quarter_turns": np.floor(u[0] * 4)}


@dataclass(frozen=True, slots=True)
class Rotate:
    """About the center, by up to so many degrees to either side."""

    degrees: float
    random_slots: ClassVar[slice] = slice(2, 3)

    def sample_parameters(self, u: Sequence[Uniform]) -> dict[str, Any]:
        return {"degrees": _scale_uniform(-self.degrees, self.degrees, u[0])}


@dataclass(frozen=True, slots=True)
class Zoom:
    """About the center; above 1 shows less of the image, larger."""

    low: float
    high: float
    random_slots: ClassVar[slice] = slice(3, 4)

    def sample_parameters(self, u: Sequence[Uniform]) -> dict[str, Any]:
        return {"zoom": _scale_uniform(self.low, self.high, u[0])}


@dataclass(frozen=True, slots=True)
class Shift:
    """By up to this part of the width and of the height."""

    max_fraction: float
    random_slots: ClassVar[slice] = slice(4, 6)

    def sample_parameters(self, u: Sequence[Uniform]) -> dict[str, Any]:
        return {
            "shift_x": _scale_uniform(-self.max_fraction, self.max_fraction, u[0]),
            "shift_y": _scale_uniform(-self.max_fraction, self.max_fraction, u[1]),
        }


@dataclass(frozen=True, slots=True)
class Brightness:
    low: float
    high: float
    random_slots: ClassVar[slice] = slice(6, 7)

    def sample_parameters(self, u: Sequence[Uniform]) -> dict[str, Any]:
        return {"brightness": _scale_uniform(self.low, self.high, u[0])}


@dataclass(frozen=True, slots=True)
class Contrast:
    low: float
    high: float
    random_slots: ClassVar[slice] = slice(7, 8)

    def sample_parameters(self, u: Sequence[Uniform]) -> dict[str, Any]:
        return {"contrast": _scale_uniform(self.low, self.high, u[0])}


@dataclass(frozen=True, slots=True)
class Saturation:
    low: float
    high: float
    random_slots: ClassVar[slice] = slice(8, 9)

    def sample_parameters(self, u: Sequence[Uniform]) -> dict[str, Any]:
        return {"saturation": _scale_uniform(self.low, self.high, u[0])}


@dataclass(frozen=True, slots=True)
class Erase:
    """A rectangle of sides between these parts of the image's, wholly inside."""

    probability: float = 0.25
    min_side_fraction: float = 0.1
    max_side_fraction: float = 0.4
    random_slots: ClassVar[slice] = slice(11, 16)

    def sample_parameters(self, u: Sequence[Uniform]) -> dict[str, Any]:
        happens = u[0] < self.probability
        height = happens * _scale_uniform(self.min_side_fraction, self.max_side_fraction, u[1])
        width = happens * _scale_uniform(self.min_side_fraction, self.max_side_fraction, u[2])
        return {
            "erase_top": happens * (u[3] * (1 - height)),
            "erase_left": happens * (u[4] * (1 - width)),
            "erase_height": height,
            "erase_width": width,
        }


AugmentOperation: TypeAlias = (
    Mirror | QuarterTurns | Rotate | Zoom | Shift | Brightness | Contrast | Saturation | Erase
)


@dataclass(frozen=True, slots=True)
class AugmentationMode:
    """A name and what may happen, each operation at most once."""

    name: str
    operations: tuple[AugmentOperation, ...]

    def __post_init__(self) -> None:
        kinds = [type(operation).__name__ for operation in self.operations]
        if len(kinds) != len(set(kinds)):
            raise ValueError(f"mode {self.name}: {', '.join(kinds)}, expected each operation at most once")


MODES = {
    mode.name: mode
    for mode in (
        AugmentationMode("none", ()),
        AugmentationMode("conservative", (Mirror(), Brightness(0.9, 1.1), Contrast(0.9, 1.1))),
        AugmentationMode(
            "moderate",
            (
                Mirror(),
                Rotate(15),
                Zoom(0.9, 1.1),
                Brightness(0.8, 1.2),
                Contrast(0.8, 1.2),
                Saturation(0.8, 1.2),
            ),
        ),
        AugmentationMode(
            "aggressive",
            (
                Mirror(),
                Rotate(30),
                Zoom(0.8, 1.25),
                Shift(0.1),
                Brightness(0.6, 1.4),
                Contrast(0.6, 1.4),
                Saturation(0.6, 1.4),
                Erase(),
            ),
        ),
    )
}


def draw(mode: AugmentationMode | str, seed: int, epoch: int, index: int) -> Draw:
    """What happens to sample `index` in this epoch; a pure function of its arguments."""
    numbers = sample_uniforms(seed, epoch, index)
    values: dict[str, Any] = {}
    for operation in get_mode(mode).operations:
        values |= operation.sample_parameters(numbers[operation.random_slots])
    return Draw(**values)


def draws(
    mode: AugmentationMode | str, seed: int, epoch: int, indices: Sequence[int] | NDArray[np.int64]
) -> Draws:
    """The draws of several samples at once: the same as one by one."""
    return _draws_from_uniforms(get_mode(mode), uniforms(seed, epoch, indices))


def epoch_draws(mode: AugmentationMode | str, seed: int, epoch: int, samples: int) -> Draws:
    """The draws of samples 0 .. samples-1: the same again, for a whole set."""
    return _draws_from_uniforms(get_mode(mode), epoch_uniforms(seed, epoch, samples))


def get_mode(mode: AugmentationMode | str) -> AugmentationMode:
    """A mode by its name, or the mode itself."""
    if isinstance(mode, AugmentationMode):
        return mode
    if mode not in MODES:
        raise ValueError(f"augmentation mode {mode!r}, expected one of {', '.join(MODES)}")
    return MODES[mode]


def _draws_from_uniforms(mode: AugmentationMode, numbers: NDArray[np.float64]) -> Draws:
    rows = _IDENTITY_ROW.repeat(len(numbers), axis=0)
    by_place: Any = numbers.T
    for operation in mode.operations:
        for name, values in operation.sample_parameters(by_place[operation.random_slots]).items():
            rows[:, _COLUMNS[name]] = values
    return Draws(rows)


def _scale_uniform(low: float, high: float, u: Uniform) -> Any:
    return low + (high - low) * u
