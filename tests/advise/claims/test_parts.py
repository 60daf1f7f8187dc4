"""How the parts of the claims share the time: a fake clock, on which only `work` takes time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace

import pytest

from perfsuite.advise.claims.claims import CLAIMS
from perfsuite.advise.claims.config import ClaimsConfig
from perfsuite.advise.claims.markdown import render_claims
from perfsuite.advise.claims.parts import DEFAULT_SECONDS, PARTS, Measure, measure_parts
from perfsuite.advise.claims.results import ClaimsReport
from perfsuite.advise.time_limit import TimeIsUpError, TimeLimit
from tests.cli.command_examples import full_parser

EMPTY = ClaimsReport(settings={}, items_per_call=32)


class FakeClock:
    """Seconds that pass by `work` alone; in an `interrupt` block it goes no further than the limit."""

    def __init__(self) -> None:
        self.now = 0.0
        self.end = float("inf")

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float) -> None:
        is_over = self.now + seconds > self.end
        self.now = min(self.now + seconds, self.end)
        if is_over:
            raise TimeIsUpError

    @contextmanager
    def interrupt(self, limit: TimeLimit) -> Iterator[None]:
        self.end = limit.begin + limit.seconds
        yield
        self.end = float("inf")


class Run:
    """A run of all parts, which work for so many seconds; the others work until their time is over."""

    def __init__(self, seconds: float = DEFAULT_SECONDS, **work: float) -> None:
        self.clock = FakeClock()
        self.shares: dict[str, float] = {}
        self.messages: list[str] = []
        self.pages: list[ClaimsReport] = []
        self.seconds, self.work = seconds, work

    def report(
        self, interrupt: Callable[[TimeLimit], AbstractContextManager[None]] | None = None
    ) -> ClaimsReport:
        return measure_parts(
            {name: self._measure(name) for name in PARTS},
            EMPTY,
            TimeLimit.start(self.seconds, self.clock),
            self.messages.append,
            self.pages.append,
            interrupt or self.clock.interrupt,
        )

    def _measure(self, name: str) -> Measure:
        def measure(report: ClaimsReport, limit: TimeLimit) -> ClaimsReport:
            self.shares[name] = limit.seconds
            self.clock.work(self.work.get(name, limit.left))
            return replace(report, settings={**report.settings, name: "done"})

        return measure


def test_the_default_time_is_that_of_the_parts() -> None:
    assert full_parser().parse_args(["claims"]).seconds == DEFAULT_SECONDS == ClaimsConfig().seconds == 320


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_each_part_has_its_share_of_the_time(scale: float) -> None:
    run = Run(DEFAULT_SECONDS * scale)
    report = run.report()
    assert run.shares == pytest.approx({name: part.seconds * scale for name, part in PARTS.items()})
    assert set(report.settings) == set(PARTS)
    assert report.rejected == {}


def test_time_that_no_part_uses_is_given_on() -> None:
    run = Run(**dict.fromkeys(PARTS, 0.0))
    run.report()
    *_, before_last, last = run.shares.values()
    assert last == DEFAULT_SECONDS > before_last


@pytest.mark.parametrize("greedy", PARTS)
def test_a_greedy_part_is_ended_and_named_and_starves_no_other(greedy: str) -> None:
    run = Run(**{greedy: 1e9})
    report = run.report()
    assert run.shares == pytest.approx({name: part.seconds for name, part in PARTS.items()})
    assert set(report.settings) == set(PARTS) - {greedy}
    title, seconds = PARTS[greedy].title, PARTS[greedy].seconds
    reason = (
        f"not done after its {seconds:.{0 if seconds >= 10 else 1}f} s of --seconds 320; give --seconds 640"
    )
    assert report.rejected == {title: reason}
    assert f"{title}: {reason}" in run.messages
    assert f"- {title}: {reason}" in render_claims(report, "")


def test_all_greedy_parts_are_named() -> None:
    report = Run(16.0, **dict.fromkeys(PARTS, 1e9)).report()
    assert set(report.rejected) == {part.title for part in PARTS.values()}
    assert all(reason.endswith("of --seconds 16; give --seconds 320") for reason in report.rejected.values())
    page = render_claims(report, "")
    assert all(f"- {part.title}: not done after its" in page for part in PARTS.values())
    assert all("not done after its" in claim.judge(report).evidence for claim in CLAIMS)


def test_where_nothing_can_be_interrupted_parts_without_time_are_named_and_not_begun() -> None:
    """Also the negative control of the test of greedy parts: without interrupts they starve the others."""
    run = Run(training=1e9)
    report = run.report(lambda limit: nullcontext())
    names = list(PARTS)
    after = names[names.index("training") + 1 :]
    assert set(run.shares) == set(names) - set(after)
    assert set(report.rejected) == {PARTS[name].title for name in after}
    assert set(report.rejected.values()) == {"not done after its 0.0 ms of --seconds 320; give --seconds 640"}


def test_progress_has_the_part_its_time_and_the_time_left() -> None:
    run = Run()
    run.report()
    assert run.messages[0] == "1 of 9: Loading, 20 s; 5.3 min left"
    assert len(run.messages) == len(PARTS)
    assert all(message.endswith(" left") for message in run.messages)


def test_the_results_so_far_are_handed_out_after_each_part() -> None:
    run = Run()
    run.report()
    assert [len(page.settings) for page in run.pages] == list(range(1, len(PARTS) + 1))
    assert [len(page.pending) for page in run.pages] == list(range(len(PARTS) - 1, -1, -1))
