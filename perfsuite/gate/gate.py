"""The gate: prepare, count, then pair after pair until every workload is decided or the time is spent."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from perfsuite.gate import findings
from perfsuite.gate.arms import Repository
from perfsuite.gate.conclude import conclude
from perfsuite.gate.followed import Followed
from perfsuite.gate.settings import Settings
from perfsuite.gate.stand import Stand, Suites, make_ready, survey
from perfsuite.gate.turns import End, PairResult
from perfsuite.gate.workplace import workplace
from perfsuite.judge import pairs
from perfsuite.judge.gated import GateReport
from perfsuite.judge.pairs import Rule
from perfsuite.judge.verdict import Outcome, Verdict

MOST_RECOUNTS = 8  # tests that end their process before the others are counted

Tell = Callable[[str], None]


def gate(settings: Settings, here: Path, command: str = "", tell: Tell = lambda _: None) -> GateReport:
    """Compare two states of the repository that `here` lies in."""
    begin = time.monotonic()
    seed = settings.seed if settings.seed is not None else secrets.randbelow(2**32)
    repository = Repository.at(here)
    with (
        workplace(repository.git_directory) as place,
        make_ready(repository, settings, place, random.Random(seed), tell) as stand,
    ):
        run = Run(stand, survey(stand), begin, tell)
        try:
            run.whole()
        except KeyboardInterrupt:
            run.interrupt()
        return conclude(run, command, seed)


class Run:
    """The state of one gate between its pairs."""

    def __init__(self, stand: Stand, suites: Suites, begin: float, tell: Tell) -> None:
        self.stand, self.settings, self.suites, self.tell = stand, stand.settings, suites, tell
        self.begin = begin
        self.deadline = begin + stand.settings.time_budget_seconds
        self.followed: dict[str, Followed] = {}
        self.verdicts: dict[str, list[Verdict]] = {}  # by workload: all that is not about time
        self.dropped: set[str] = set()  # tests that left the gate with a verdict
        self.counters: dict[str, dict[str, tuple[int, int]]] = {}
        self.skipped: dict[str, str] = {}
        self.notes: list[str] = []
        self.null: dict[str, list[float]] = {}
        self.sentinels: tuple[str, ...] = ()
        self.pairs = 0
        self.rule = Rule(1)
        self.pair_seconds = 0.0
        self.is_interrupted = False

    def whole(self) -> None:
        suites = self.suites
        trees, repository = self.stand.trees, self.stand.repository
        self._note(repository.lacks(trees["head"].commit, trees["base"].commit))
        wanted = self._nodes_to_run()
        if wanted:
            self._count(wanted)
        compared = frozenset(found.node for found in self.followed.values())
        broken = {side: suites.own[side].errors for side in suites.own}
        for verdict in findings.absences(
            suites.nodes("base"), suites.nodes("head"), self.settings.renames, compared, broken
        ):
            if verdict.outcome is Outcome.NEW and verdict.workload in wanted:
                continue  # it was to run: where it was not reached it is no good news
            if verdict.workload not in self.judged():
                self.verdicts.setdefault(verdict.workload, []).append(verdict)
        for side, errors in broken.items():
            self.notes += [f"{side}: collection failed: {findings.in_short(error)}" for error in errors]
        self.rule = Rule(
            max(1, len(self.followed)),
            self.settings.alpha,
            self.settings.tolerance,
            self.settings.max_pairs,
            self.settings.mde,
        )
        if self.rule.fewest_pairs > self.rule.max_pairs:
            self._note(
                f"{self.rule.max_pairs} pairs cannot accuse anyone: with {self.rule.workloads} workloads and "
                f"a chance of error of {self.rule.alpha:g} it takes {self.rule.fewest_pairs} (--max-pairs)"
            )
        self._time()

    def interrupt(self) -> None:
        """Somebody ends the gate: what was decided stays, and nothing else counts as compared."""
        self.is_interrupted = True
        self.notes.append(f"interrupted after {self.pairs} pairs; what was not decided by then is unclear")
        self._last_words()

    def on_base(self) -> list[str]:
        """What base's own suite holds, by head's names."""
        return [self.settings.renames.get(node, node) for node in self.suites.nodes("base")]

    def judged(self) -> set[str]:
        """The tests that have a verdict, will get one from their pairs, or were skipped with a reason."""
        followed = {found.node for found in self.followed.values()}
        return followed | self.dropped | set(self.verdicts) | set(self.skipped)

    def _note(self, said: str) -> None:
        if said:
            self.tell(said)
            self.notes.append(said)

    def _nodes_to_run(self) -> list[str]:
        base = set(self.on_base())
        giver = self.settings.harness
        if giver == "own":
            return [node for node in self.suites.nodes("head") if node in base]
        return list(self.suites.nodes(giver))

    # Counting: one process of each side, exact, and the rehearsal that finds what cannot be timed.
    def _count(self, nodes: list[str]) -> None:
        self.tell(f"counting {len(nodes)} benchmarks on both sides")
        counted: dict[str, findings.Counts] = {}
        reached: dict[str, str] = {}
        ends: dict[str, Mapping[str, End]] = {}
        left = nodes
        for _ in range(MOST_RECOUNTS):
            found = self._counted(left)
            self._take_ends(found)
            counted |= found.counted
            reached |= found.nodes
            ends |= found.ends
            if found.lacking:
                self.notes.append(f"counters: {found.lacking}")
            done = {
                *found.nodes.values(),
                *self.judged(),
                *(n for n, on in found.ends.items() if len(on) > 1),
            }
            left = [node for node in left if node not in done]
            if not found.broken_off or not found.ends or not left:
                break
        for node, on in ends.items():
            passed = all(end.outcome == "passed" for end in on.values())
            is_whole = len(on) > 1 or not found.broken_off  # else the other side did not come to it
            if passed and is_whole and node not in reached.values() and node not in self.judged():
                self.skipped[node] = "it passed without measuring anything"
                left = [other for other in left if other != node]
        if found.broken_off and left:
            for node in left:
                self._drop(
                    node, Verdict(node, "time", Outcome.ERROR, f"not reached: {found.broken_off[:2000]}")
                )
        self._judge_counters(
            {name: node for name, node in reached.items() if node not in self.verdicts}, counted
        )

    def _judge_counters(self, reached: dict[str, str], counted: dict[str, findings.Counts]) -> None:
        again = PairResult()
        unlike = [name for name in findings.differing(counted) if name in reached]
        if unlike:
            again = self._counted(sorted({reached[name] for name in unlike}))
        for name, node in reached.items():
            self.followed[name] = Followed(name, node)
            verdicts, steady, restless = findings.judge_counters(
                name, counted.get(name, {}), again.counted.get(name)
            )
            self.verdicts.setdefault(name, []).extend(verdicts)
            self.counters[name] = steady
            self.notes += [
                f"{name}: {counter} does not repeat itself, so it does not gate" for counter in restless
            ]

    def _counted(self, nodes: Sequence[str]) -> PairResult:
        return self.stand.run(nodes, counting=True)

    def _take_ends(self, found: PairResult) -> None:
        """Errors, skips and one-sided tests leave the gate with a word of their own."""
        for node, ends in found.ends.items():
            if len(ends) < 2 and not any(end.is_bad for end in ends.values()):
                continue  # the pair ended before the other side came to it
            meant = findings.judge_ends(node, ends, self._is_on_base(node))
            if meant.skipped is not None:
                self.skipped[node] = meant.skipped
            elif meant.verdict is not None:
                self._drop(node, meant.verdict)
        for name, (node, side) in found.alone.items():
            if node in self.verdicts or node in self.skipped:
                continue
            other = "base" if side == "head" else "head"
            errors = found.collect_errors.get(other, ())
            self._drop(name, findings.judge_alone(name, node, side, self._is_on_base(node), errors))
            self.dropped.add(node)

    def _is_on_base(self, node: str) -> bool:
        """Whether base's own suite has this test, or a file of it that base itself cannot collect."""
        base, head = (self.suites.own[side] for side in ("base", "head"))
        if node in self.on_base():
            return True
        if not any(error.startswith(("base: ", node.partition("::")[0])) for error in base.errors):
            return False
        file, _ = head.places.get(node, ("", 0))
        return self.stand.repository.has(self.stand.trees["base"].commit, file)

    def _drop(self, node: str, verdict: Verdict) -> None:
        for name in [name for name, found in self.followed.items() if found.node == node]:
            del self.followed[name]
            self.verdicts.pop(name, None)
        self.verdicts[node] = [verdict]

    # Timing: pairs until all is decided or the time is spent.
    def _time(self) -> None:
        while self._undecided() and self.pairs < self.settings.max_pairs and self._time_for_another():
            self._one_pair()
            if self.settings.sentinels and len(self.null_pairs) < pairs.NULL_PAIRS:
                self._null_pair()
        while self.followed and 0 < len(self.null_pairs) < pairs.NULL_PAIRS and self._time_for_another():
            self._null_pair()
        if self._undecided() and self.pairs < self.settings.max_pairs:
            self._note(
                f"the time of {self.settings.time_budget_seconds:.0f} s ended after {self.pairs} of "
                f"{self.settings.max_pairs} pairs, {self.pair_seconds:.0f} s each; the fewest that can "
                f"accuse are {self.rule.fewest_pairs} (--time-budget)"
            )
        self._last_words()

    def _last_words(self) -> None:
        for found in self._undecided():
            found.decision = found.decide(self.rule, self.tolerance(found.name), spent=True)

    @property
    def null_pairs(self) -> Sequence[float]:
        return max(self.null.values(), key=len, default=[])

    def _undecided(self) -> list[Followed]:
        return [f for f in self.followed.values() if f.decision is None or f.decision.outcome is None]

    def _time_for_another(self) -> bool:
        return time.monotonic() + self.pair_seconds < self.deadline

    def tolerance(self, name: str) -> float:
        """How much slower this workload may be."""
        found = self.followed.get(name)
        marked = self.suites.tolerance(found.node) if found else None
        return self.settings.tolerance_of(name, marked)

    def _one_pair(self) -> None:
        open_ = self._undecided()
        begin = time.monotonic()
        names = {found.name for found in open_}
        result = self.stand.run(
            list(dict.fromkeys(found.node for found in open_)),
            skip=frozenset(self.followed) - names,
            enough=lambda: time.monotonic() > self.deadline,
        )
        self.pair_seconds = time.monotonic() - begin
        self.pairs += 1
        self._take_ends(result)
        for seen in result.seen:
            if seen.name in self.followed:
                self.followed[seen.name].add(seen, result.first_side)
        if not result.seen and not result.out_of_time:
            # Nothing was seen at all: the same again would not help.
            reason = result.broken_off or "no benchmark was reached"
            self.notes.append(f"pair {self.pairs}: {reason}")
            for found in open_:
                if found.name in self.followed:
                    self._drop(found.node, Verdict(found.node, "time", Outcome.ERROR, reason[:300]))
        for found in self._undecided():
            found.decision = found.decide(self.rule, self.tolerance(found.name))
        self.tell(
            f"pair {self.pairs} of at most {self.settings.max_pairs}: {len(self._undecided())} of "
            f"{len(self.followed)} workloads open, {time.monotonic() - self.begin:.0f} s"
        )

    def _null_pair(self) -> None:
        if not self.sentinels:
            self.sentinels = self._drawn_sentinels()
        chosen = [self.followed[name] for name in self.sentinels if name in self.followed]
        result = self.stand.run(
            list(dict.fromkeys(found.node for found in chosen)),
            null=True,
            skip=frozenset(self.followed) - set(self.sentinels),
            enough=lambda: time.monotonic() > self.deadline,
        )
        for seen in result.seen:
            found = Followed(seen.name, seen.node)
            found.add(seen, result.first_side)
            self.null.setdefault(seen.name, []).append(found.log_ratios[0])
        self.tell(
            f"base against base, {len(self.null_pairs)} of {pairs.NULL_PAIRS}, "
            f"{time.monotonic() - self.begin:.0f} s"
        )

    def _drawn_sentinels(self) -> tuple[str, ...]:
        """Of the half that says what it has to say in the shortest time."""
        quick = sorted(self.followed.values(), key=lambda found: found.took)
        number = min(self.settings.sentinels, len(quick))
        able = quick[: max(number, len(quick) // 2)]
        return tuple(found.name for found in self.stand.chance.sample(able, number))
