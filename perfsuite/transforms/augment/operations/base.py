"""What an augmentation operation declares.

An operation is one file of this folder, and the registry finds it there. The file holds the range of its
parameters, the random numbers that it reads, and its implementations: what it adds to the affine map, or
what it does to pixels with OpenCV, with torch and in a Triton kernel. They agree up to rounding.

Operation files import neither torch nor Triton at run time: every worker of a loader imports them.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from perfsuite.transforms.arrays import FloatArray, ImageArray
from perfsuite.transforms.augment.affine import AffineParameters

if TYPE_CHECKING:
    import torch

# A number in [0, 1) for one sample, or an array with one for each sample: the arithmetic is the same.
Uniform: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that is drawn for each sample, and the value of it that changes nothing."""

    name: str
    identity: float


@dataclass(frozen=True, slots=True)
class RandomSlots:
    """Which of a sample's random numbers an operation reads.

    The built-in operations share block 0. Every other operation has a block of its own, so that
    adding one changes no parameter of another: `RandomSlots.of_own_block("blur", count=1)`.
    """

    first: int
    count: int
    block: int = 0

    @classmethod
    def of_own_block(cls, name: str, count: int) -> RandomSlots:
        return cls(first=0, count=count, block=zlib.crc32(name.encode()))

    @property
    def numbers(self) -> slice:
        return slice(self.first, self.first + self.count)


class AugmentOperation(ABC):
    """A random change of an image. An instance holds the range; the class holds everything else."""

    __slots__ = ()
    parameters: ClassVar[tuple[Parameter, ...]]
    random_slots: ClassVar[RandomSlots]

    @abstractmethod
    def sample_parameters(self, u: Sequence[Uniform]) -> tuple[Any, ...]:
        """The parameters, in the order of `parameters`, from the numbers of `random_slots`."""


class GeometricOperation(AugmentOperation):
    """Moves pixels. All geometric operations of an image are one affine map, sampled once."""

    __slots__ = ()

    @staticmethod
    @abstractmethod
    def add_to_affine(affine: AffineParameters, values: Sequence[Any]) -> None:
        """Add the parameters of one image, or arrays of many, to the affine map."""


class PixelOperation(AugmentOperation):
    """Changes pixels where they are. Each form ends in bytes: clamped to 0..255, rounded half to even."""

    __slots__ = ()
    order: ClassVar[int]  # pixel operations run from the lowest order to the highest
    needs_mean: ClassVar[bool] = False  # whether the Triton form reads the mean gray of the whole image

    @staticmethod
    @abstractmethod
    def apply_cpu(image: ImageArray, values: Sequence[float], fill: int, *, may_write: bool) -> ImageArray:
        """With OpenCV on one image, height x width x 3. `may_write` allows changing `image` itself."""

    @staticmethod
    @abstractmethod
    def apply_torch(batch: torch.Tensor, columns: Sequence[torch.Tensor], fill: int) -> torch.Tensor:
        """On float32 whole numbers, N x 3 x H x W; a column has shape (N, 1, 1, 1)."""

    @staticmethod
    def device_parameters(values: FloatArray, height: int, width: int) -> FloatArray:
        """What the torch and Triton forms receive, computed once for a batch: (N, any number of columns)."""
        return values

    @staticmethod
    @abstractmethod
    def apply_triton(
        red: Any, green: Any, blue: Any, x: Any, y: Any, mean: Any, values: Any, fill: Any
    ) -> Any:
        """In a kernel: new red, green and blue of the pixels at column x and row y, all float32.

        `values` points at this operation's parameters. The names of `triton_arithmetic` are available. Triton
        evaluates annotations, so an operation writes none here.
        """


def scale_uniform(low: float, high: float, u: Uniform) -> Any:
    """A uniform number in [low, high)."""
    return low + (high - low) * u
