"""The parameters of a comparison of times."""

from __future__ import annotations

from dataclasses import dataclass
from math import expm1, log1p

import numpy as np

from perfsuite.judge.arrays import FloatArray


@dataclass(frozen=True, slots=True)
class TimeRule:
    """Error rate, power and sensitivity of a comparison, and the tolerance of each workload."""

    alpha: float
    tolerances: tuple[float, ...]
    target_mde: float
    power: float = 0.9

    @property
    def log_tolerances(self) -> FloatArray:
        """log(1 + tolerance) of each workload."""
        return np.asarray(np.log1p(np.array(self.tolerances)))

    def required_mde(self, workload: int) -> float:
        """The MDE that the runs must reach. A large tolerance raises it."""
        return max(self.target_mde, 2 * self.tolerances[workload])

    def mde(self, workload: int, detectable_shift: float) -> float:
        """The MDE, from the shift beyond the tolerance that is detected with the required power."""
        return bounded_expm1(log1p(self.tolerances[workload]) + detectable_shift)


def bounded_expm1(value: float) -> float:
    return expm1(min(value, 100.0))
