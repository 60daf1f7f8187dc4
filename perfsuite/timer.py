"""The clock for code that chooses by speed. `perfsuite.data` reads no other clock.

A function that times takes a `timer` argument with this default, so that a test can pass a fake one.
"""

from __future__ import annotations

import time
from collections.abc import Callable

Timer = Callable[[], float]  # seconds since an arbitrary moment; never goes backward

default_timer: Timer = time.perf_counter
