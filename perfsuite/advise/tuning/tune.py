"""Run the races of settings, and take the winner of the last one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from perfsuite.advise.sweep.config import SweepConfig
from perfsuite.advise.sweep.loader_setting import LoaderSetting
from perfsuite.advise.sweep.measure import measure_sweep
from perfsuite.advise.sweep.report import EQUIVALENCE_MARGIN, SettingChoice, SweepReport
from perfsuite.advise.sweep.setting_loaders import SettingLoaders
from perfsuite.advise.sweep.setting_result import SettingResult
from perfsuite.advise.sweep.sides import StatusCallback
from perfsuite.advise.time_limit import TimeLimit
from perfsuite.advise.tuning import candidates
from perfsuite.errors import NothingMeasuredError

OpenLoaders = Callable[[SweepConfig], SettingLoaders]
MeasureRace = Callable[[SweepConfig, StatusCallback], SweepReport]
# Shares of the time of all races that the races get; what one does not need is left to the next.
DECODER_SHARE, WORKER_SHARE = 0.2, 0.6


@dataclass(frozen=True, slots=True)
class Race:
    """Settings that differ in one respect, measured in turns."""

    subject: str
    report: SweepReport

    @property
    def choice(self) -> SettingChoice:
        return self.report.choice()

    @property
    def winner(self) -> SettingResult:
        """The choice where it is clear; else the cheapest candidate that was about as fast as the fastest.

        Where the turns do not separate the settings, the cheapest of all would often be no workers at all.
        """
        possible, fastest = [self.choice.result, *self.choice.undecided], self.report.fastest
        most = 1 + EQUIVALENCE_MARGIN
        near = (each for each in possible if self.report.slowdown(each, fastest).value <= most)
        return next(near, fastest)


@dataclass(frozen=True, slots=True)
class TuningResult:
    """The races, and the setting that they lead to."""

    races: tuple[Race, ...]
    setting: LoaderSetting
    is_complete: bool = True  # False where the races were interrupted

    @property
    def worker_race(self) -> Race | None:
        return next((race for race in self.races if race.subject == "workers"), None)


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """What may be set. The first prefetch factor and batch size are preferred where nothing is faster."""

    num_workers: tuple[int, ...]
    engines: tuple[str, ...]
    decoders: tuple[str, ...]
    prefetch_factors: tuple[int, ...]
    batch_sizes: tuple[int, ...]


def race_in_turns(open_loaders: OpenLoaders) -> MeasureRace:
    """Measure a race with the loaders of a source of images, or of the user."""
    return lambda config, on_progress: measure_sweep(open_loaders(config), config, on_progress)


def tune(
    space: SearchSpace,
    config: SweepConfig,
    limit: TimeLimit,
    measure: MeasureRace,
    on_progress: StatusCallback = lambda _: None,
) -> TuningResult:
    """Run the races one after the other. An interrupt keeps the races until then."""
    return _Tuning(space, config, limit, measure, on_progress).run()


@dataclass
class _Tuning:
    space: SearchSpace
    config: SweepConfig
    limit: TimeLimit
    measure: MeasureRace
    on_progress: StatusCallback

    def run(self) -> TuningResult:
        done: list[Race] = []
        try:
            for race in self._races():
                done.append(race)
                if not race.report.is_complete:
                    break
        except (KeyboardInterrupt, NothingMeasuredError):
            if not done:
                raise
            return TuningResult(tuple(done), _winner(done), is_complete=False)
        return TuningResult(tuple(done), _winner(done), done[-1].report.is_complete)

    def _races(self) -> Iterator[Race]:
        space, total = self.space, self.limit.left
        decoder = space.decoders[0] if space.decoders else candidates.AUTO
        if len(space.decoders) > 1:
            race = self._race("decoder", candidates.decoder_candidates(space.decoders), DECODER_SHARE * total)
            yield race
            decoder = race.winner.setting.decoder or candidates.AUTO
        settings = candidates.worker_candidates(
            space.num_workers, space.engines, decoder, space.prefetch_factors[0]
        )
        race = self._race("workers", settings, WORKER_SHARE * total)
        yield race
        results = (race.winner, race.choice.result, *race.choice.undecided)
        contenders = list(dict.fromkeys(result.setting.as_option for result in results))
        queues = candidates.queue_candidates(contenders, space.prefetch_factors, space.batch_sizes)
        if len(queues) > 1:
            yield self._race("batches", queues, self.limit.left)

    def _race(self, subject: str, settings: Sequence[LoaderSetting], seconds: float) -> Race:
        workers = tuple(sorted({setting.num_workers for setting in settings}))
        config = replace(
            self.config,
            num_workers=workers,
            only=tuple(settings),
            with_plain_mode=False,
            augmentation_modes=self.config.augmentation_modes[:1],
            stops_early=True,
            seconds=max(0.001, min(seconds, self.limit.left)),
        )
        return Race(subject, self.measure(config, lambda text: self.on_progress(f"{subject}: {text}")))


def _winner(done: Sequence[Race]) -> LoaderSetting:
    return done[-1].winner.setting.as_option
