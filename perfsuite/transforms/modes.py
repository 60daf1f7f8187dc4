"""The modes, written once: what may happen to a picture, and what does happen to one sample of one epoch.

    drawn = draw("moderate", seed=42, epoch=3, index=1017)     # the same in every worker, on every device
    picture = on_picture.apply(drawn, picture)                 # uint8 HWC in and out, same size
    batch = on_device.augment(draws("moderate", 42, 3, indices), batch)    # uint8 NCHW in and out

Every mode leaves the size as it is: the loader resizes, then asks for a draw and applies it. What is drawn is
a `Draw`, one shape for all modes, whose defaults change nothing. The law, the same wherever it is built:

1. Geometry: zoom, rotation, quarter turns, mirroring and shift are one affine map, sampled once: bilinear,
   pixel centres at half integers, no antialiasing (zooms stay near 1), what lies outside is `fill` in pixel
   units. Mirroring and quarter turns alone move pixels and change none.
2. Colour, as torchvision's ColorJitter on bytes in the order brightness, contrast (about the picture's mean
   grey), saturation (about each pixel's grey); grey is 0.299 R + 0.587 G + 0.114 B.
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

from perfsuite.transforms.randomness import epoch_uniforms, sample_uniforms, uniforms

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
        rows = [[float(getattr(one, name)) for name in FIELDS] for one in drawn]
        return cls(np.array(rows).reshape(-1, len(FIELDS)))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, sample: int) -> Draw:
        row = self.rows[sample].tolist()
        return Draw(bool(row[0]), int(row[1]), *row[2:])

    def column(self, name: str) -> NDArray[np.float64]:
        return self.rows[:, _COLUMNS[name]]


FIELDS = tuple(field.name for field in fields(Draw))
_COLUMNS = {name: column for column, name in enumerate(FIELDS)}
_NOTHING = np.array([[float(getattr(Draw(), name)) for name in FIELDS]])


@dataclass(frozen=True, slots=True)
class Mirror:
    """Left and right change places."""

    probability: float = 0.5
    reads: ClassVar[slice] = slice(0, 1)

    def drawn(self, u: Sequence[Uniform]) -> dict[str, Any]:
        return {"mirror": u[0] < self.probability}


@dataclass(frozen=True, slots=True)
class QuarterTurns:
    """0, 90, 180 or 270 degrees."""

    reads: ClassVar[slice] = slice(1, 2)

    def drawn(self, u: Sequence[Uniform]) -> dict[str, Any]:
        return {"quarter_turns": np.floor(u[0] * 4)}


@dataclass(frozen=True, slots=True)
class Rotate:
    """About the centre, by up to so many degrees to either side."""

    degrees: float
    reads: ClassVar[slice] = slice(2, 3)

    def drawn(self, u: Sequence[Uniform]) -> dict[str, Any]:
        return {"degrees": _between(-self.degrees, self.degrees, u[0])}


@dataclass(frozen=True, slots=True)
class Zoom:
    """About the centre; above 1 shows less of the picture, larger."""

    low: float
    high: float
    reads: ClassVar[slice] = slice(3, 4)

    def drawn(self, u: Sequence[Uniform]) -> dict[str, Any]:
        return {"zoom": _between(self.low, self.high, u[0])}


@dataclass(frozen=True, slots=True)
class Shift:
    """By up to this part of the width and of the height."""

    part: float
    reads: ClassVar[slice] = slice(4, 6)

    def drawn(self, u: Sequence[Uniform]) -> dict[str, Any]:
        return {
            "shift_x": _between(-self.part, self.part, u[0]),
            "shift_y": _between(-self.part, self.part, u[1]),
        }


@dataclass(frozen=True, slots=True)
class Brightness:
    low: float
    high: float
    reads: ClassVar[slice] = slice(6, 7)

    def drawn(self, u: Sequence[Uniform]) -> dict[str, Any]:
        return {"brightness": _between(self.low, self.high, u[0])}


@dataclass(frozen=True, slots=True)
class Contrast:
    low: float
    high: float
    reads: ClassVar[slice] = slice(7, 8)

    def drawn(self, u: Sequence[Uniform]) -> dict[str, Any]:
        return {"contrast": _between(self.low, self.high, u[0])}


@dataclass(frozen=True, slots=True)
class Saturation:
    low: float
    high: float
    reads: ClassVar[slice] = slice(8, 9)

    def drawn(self, u: Sequence[Uniform]) -> dict[str, Any]:
        return {"saturation": _between(self.low, self.high, u[0])}


@dataclass(frozen=True, slots=True)
class Erase:
    """A rectangle of sides between these parts of the picture's, wholly inside."""

    probability: float = 0.25
    shortest: float = 0.1
    longest: float = 0.4
    reads: ClassVar[slice] = slice(11, 16)

    def drawn(self, u: Sequence[Uniform]) -> dict[str, Any]:
        happens = u[0] < self.probability
        height = happens * _between(self.shortest, self.longest, u[1])
        width = happens * _between(self.shortest, self.longest, u[2])
        return {
            "erase_top": happens * (u[3] * (1 - height)),
            "erase_left": happens * (u[4] * (1 - width)),
            "erase_height": height,
            "erase_width": width,
        }


Operation: TypeAlias = (
    Mirror | QuarterTurns | Rotate | Zoom | Shift | Brightness | Contrast | Saturation | Erase
)


@dataclass(frozen=True, slots=True)
class Mode:
    """A name and what may happen, each operation at most once."""

    name: str
    operations: tuple[Operation, ...]

    def __post_init__(self) -> None:
        kinds = [type(operation).__name__ for operation in self.operations]
        if len(kinds) != len(set(kinds)):
            raise ValueError(f"mode {self.name}: {', '.join(kinds)}, expected each operation at most once")


MODES = {
    mode.name: mode
    for mode in (
        Mode("none", ()),
        Mode("conservative", (Mirror(), Brightness(0.9, 1.1), Contrast(0.9, 1.1))),
        Mode(
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
        Mode(
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


def draw(mode: Mode | str, seed: int, epoch: int, index: int) -> Draw:
    """What happens to sample `index` in this epoch; a pure function of its arguments."""
    numbers = sample_uniforms(seed, epoch, index)
    values: dict[str, Any] = {}
    for operation in mode_of(mode).operations:
        values |= operation.drawn(numbers[operation.reads])
    return Draw(**values)


def draws(mode: Mode | str, seed: int, epoch: int, indices: Sequence[int] | NDArray[np.int64]) -> Draws:
    """The draws of several samples at once: the same as one by one."""
    return _from(mode_of(mode), uniforms(seed, epoch, indices))


def epoch_draws(mode: Mode | str, seed: int, epoch: int, samples: int) -> Draws:
    """The draws of samples 0 .. samples-1: the same again, for a whole set."""
    return _from(mode_of(mode), epoch_uniforms(seed, epoch, samples))


def mode_of(mode: Mode | str) -> Mode:
    """A mode by its name, or the mode itself."""
    if isinstance(mode, Mode):
        return mode
    if mode not in MODES:
        raise ValueError(f"augmentation mode {mode!r}, expected one of {', '.join(MODES)}")
    return MODES[mode]


def _from(mode: Mode, numbers: NDArray[np.float64]) -> Draws:
    rows = _NOTHING.repeat(len(numbers), axis=0)
    by_place: Any = numbers.T
    for operation in mode.operations:
        for name, values in operation.drawn(by_place[operation.reads]).items():
            rows[:, _COLUMNS[name]] = values
    return Draws(rows)


def _between(low: float, high: float, u: Uniform) -> Any:
    return low + (high - low) * u
