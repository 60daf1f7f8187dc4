"""Record pairs until it is proven which tests run the same code on both sides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from perfsuite.gate.pair_result import NodeId
from perfsuite.gate.same_code.proof import PairEvidence
from perfsuite.gate.same_code.recording import read_recording, write_request
from perfsuite.gate.same_code.side_diff import diff_sides

MAX_PASSES = 5  # pairs that are recorded at most, the counting pair among them

RunPair = Callable[[Sequence[NodeId]], object]


@dataclass(slots=True)
class SameCodeProver:
    """Records pairs of one gate.

    A recording assigns what ran to tests, but a test may depend on what an earlier one has left behind. So a
    test counts as proven only in a process that ran nothing that differs at all.
    """

    roots: Mapping[str, Path]  # the worktrees, by side
    workspace: Path
    base_names: Mapping[str, str] = field(default_factory=dict)  # head's names of tests to base's
    requests: dict[str, Path] = field(default_factory=dict)  # by side, while a pair is recorded
    reasons: dict[NodeId, str] = field(default_factory=dict)  # why a test has to be timed
    evidence: PairEvidence | None = None  # of the latest pair

    @contextmanager
    def recorded(self, test_files: Sequence[str] | None = None) -> Iterator[None]:
        """Record the pair that runs in this block; with `test_files`, of these files only."""
        diff = diff_sides(self.roots["base"], self.roots["head"])
        outputs = {side: self.workspace / f"{side}-recording.json" for side in self.roots}
        for side, root in self.roots.items():
            outputs[side].unlink(missing_ok=True)
            self.requests[side] = self.workspace / f"{side}-recording-request.json"
            write_request(self.requests[side], root, diff, outputs[side], test_files)
        try:
            yield
        finally:
            self.requests.clear()
        found = {side: read_recording(output) for side, output in outputs.items()}
        self.evidence = PairEvidence(
            diff=diff,
            recordings={side: recording for side, recording in found.items() if recording is not None},
            roots=self.roots,
            base_names=self.base_names,
        )

    def prove(
        self,
        tests: Sequence[NodeId],
        file_of: Callable[[NodeId], str],
        run_pair: RunPair,
        is_out_of_time: Callable[[], bool],
    ) -> list[NodeId]:
        """Those of these tests that run the same code, after one recorded pair of all tests."""
        candidates = self._without_uses(tests)
        for _ in range(1, MAX_PASSES):
            if not candidates or self._needs_no_second_pair():
                return candidates
            if is_out_of_time():
                break
            with self.recorded(sorted({file_of(test) for test in candidates})):
                run_pair(candidates)
            before, candidates = candidates, self._without_uses(candidates)
            if len(candidates) == len(before):
                if self.evidence and not self.evidence.all_uses():
                    return candidates
                break  # another pair of the same tests would show the same
        for test in candidates:
            self.reasons[test] = "no pair ran it without code that differs"
        return []

    def _without_uses(self, tests: Sequence[NodeId]) -> list[NodeId]:
        """The tests that used nothing that differs; note the reasons of the others."""
        if self.evidence is None:
            return []
        common = self.evidence.common_use()
        uses = {test: common or self.evidence.use_by(test) for test in tests}
        self.reasons |= {test: use for test, use in uses.items() if use}
        return [test for test, use in uses.items() if not use]

    def _needs_no_second_pair(self) -> bool:
        """Whether no code differs and nothing that differs was read by any test."""
        return self.evidence is not None and self.evidence.diff.is_harmless and not self.evidence.all_uses()
