"""The options of a loader that a sweep or a race compares."""

from __future__ import annotations

from dataclasses import dataclass, replace

DATA_LOADER = "DataLoader"  # the engine of a user's own loader


@dataclass(frozen=True, slots=True)
class LoaderSetting:
    """Options of `make_loaders`. None leaves a decoder or batch size to the sweep.

    >>> str(LoaderSetting(2, 4, "threads", batch_size=64)), LoaderSetting(0, decoder="pillow").label
    ("num_workers=2, engine='threads', prefetch_factor=4, batch_size=64", '0 auto pillow')
    """

    num_workers: int
    prefetch_factor: int = 2
    engine: str = "auto"
    decoder: str | None = None
    batch_size: int | None = None

    def __str__(self) -> str:
        parts = [f"num_workers={self.num_workers}"]
        if self.num_workers:
            parts += [] if self.engine == DATA_LOADER else [f"engine={self.engine!r}"]
            parts.append(f"prefetch_factor={self.prefetch_factor}")
        parts += [] if self.decoder is None else [f"decoder={self.decoder!r}"]
        parts += [] if self.batch_size is None else [f"batch_size={self.batch_size}"]
        return ", ".join(parts)

    @property
    def as_option(self) -> LoaderSetting:
        """As it is given to a loader: in results, the engine without workers has a name of its own."""
        return self if self.num_workers else replace(self, engine="auto")

    @property
    def label(self) -> str:
        """A short name; `2 threads +4` loads four batches ahead, `b64` are batches of 64."""
        ahead = f" +{self.prefetch_factor}" if self.num_workers else ""
        decoder = "" if self.decoder is None else f" {self.decoder}"
        batch = "" if self.batch_size is None else f" b{self.batch_size}"
        return f"{self.num_workers} {self.engine}{ahead}{decoder}{batch}"

    @property
    def cost(self) -> tuple[int, int, int]:
        """Settings are ordered by it: fewer workers first, then fewer batches ahead, then smaller batches."""
        return self.num_workers, self.prefetch_factor, self.batch_size or 0
