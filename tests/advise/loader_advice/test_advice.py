"""The advice in words, in a table, as JSON and as a page, from invented measurements."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from perfsuite.advise.loader_advice import words
from perfsuite.advise.loader_advice.files import files_of, files_outgrow_memory
from perfsuite.advise.loader_advice.json_ import advice_to_dict
from perfsuite.advise.loader_advice.result import LoaderAdvice, mode_rows
from perfsuite.advise.loader_advice.terminal import print_advice
from perfsuite.advise.pages.advice_page import advice_document
from perfsuite.advise.tuning.tune import Race, TuningResult
from perfsuite.report.page.html import render_html
from perfsuite.report.page.markdown import render_markdown
from perfsuite.report.page.plots import LinePlot
from tests.advise.loader_advice.invented import advice


def printed(result: LoaderAdvice) -> str:
    out = StringIO()
    print_advice(result, Console(file=out, width=80, highlight=False), "loader-settings.toml")
    return out.getvalue()


def test_the_conclusion_is_last_and_names_bottleneck_knee_and_setting() -> None:
    text = printed(advice())
    conclusion = " ".join(text[text.index("bottleneck: ") :].split())
    for part in (
        "bottleneck: decode, 57% of the time of training",
        "because loading takes 4.00 times as long as the step; decode is the largest part of loading, 62%",
        "without it training is at most",
        "change: cache='ram'",
        "knee: 2 workers; the advised setting loads 2.00",
        "set batch_size=32, num_workers=2, engine='threads', prefetch_factor=2",
        "perfsuite train --settings loader-settings.toml",
    ):
        assert part in conclusion
    assert max(map(len, text.splitlines())) <= 80


def test_an_epoch_of_training_takes_what_was_measured_and_not_the_slower_side() -> None:
    lines = words.estimate_lines(advice())
    assert lines[0].startswith("loading an epoch of 2,000 images takes 4.0 s")
    assert lines[1].startswith("training an epoch of 2,000 images takes 4.4 s")
    assert "stand-in" in lines[2]


def test_modes_are_relative_to_the_advised_setting() -> None:
    relative = {row.name: round(row.relative, 2) for row in mode_rows(advice())}
    assert relative == {
        "loading, as advised": 1.0,
        "loading, no workers": 0.5,
        "loading, decoded images in memory": 2.5,
        "the step alone, small on cpu": 4.0,
        "training: loading and the step": 0.91,
    }


def interrupted() -> LoaderAdvice:
    tuning = advice().tuning
    return advice(
        tuning=TuningResult(tuning.races, tuning.setting, is_complete=False),
        **dict.fromkeys(("pipeline", "times", "diagnosis", "model")),
        training_spans=(),
        is_complete=False,
    )


def test_an_interrupted_advice_says_so_and_shows_the_races() -> None:
    text = printed(interrupted())
    assert "interrupted: these are the results until then" in text
    assert "2 threads +2" in text
    assert "interrupted" not in printed(advice())
    assert "interrupted" in " ".join(advice_document(interrupted(), Path("s.toml"), None).summary)


@pytest.mark.parametrize("result", [advice(), interrupted()], ids=["whole", "interrupted"])
def test_json_is_strict_and_the_page_has_every_plot(result: LoaderAdvice) -> None:
    figures = json.loads(json.dumps(advice_to_dict(result), allow_nan=False))
    assert figures["settings"]["num_workers"] == 2
    assert (figures["diagnosis"] is None) == (not result.is_complete)
    document = advice_document(result, Path("s.toml"), None, "perfsuite advise")
    html, markdown = render_html(document), render_markdown(document)
    for title in ("Worker curve", "Waiting for a batch", "num_workers = 2"):
        assert title in markdown
    assert ("A turn of training" in html) == result.is_complete
    assert "<svg" in html


def test_the_mark_of_the_curve_is_the_knee_of_the_text_and_has_a_question_mark_where_it_is_open() -> None:
    """Two workers are faster in six of eight blocks, which is too few to show it."""
    none, two = advice().last_race.report.results
    open_race = replace(
        advice().last_race.report,
        results=(
            replace(none, seconds_per_image=(0.004,) * 8),
            replace(two, seconds_per_image=(0.003,) * 6 + (0.005,) * 2),
        ),
    )
    undecided = advice(tuning=TuningResult((Race("workers", open_race),), two.setting))
    assert open_race.choice().result.setting.num_workers == 0
    for result, mark in ((advice(), "the knee: 2 threads +2"), (undecided, "the knee?: 2 threads +2")):
        document = advice_document(result, Path("s.toml"), None)
        (curve,) = (block for block in document.blocks if isinstance(block, LinePlot))
        assert [each.text for each in curve.marks] == [mark]
        assert "at most 3% longer" in curve.caption
        assert words.knee_line(result).startswith("knee: 2 workers")


def test_settings_of_a_user_loader_have_no_engine_and_none_are_promised_to_train() -> None:
    users = advice(is_user_loader=True)
    assert users.speed_settings.given == {"batch_size": 32, "num_workers": 2, "prefetch_factor": 2}
    assert words.setting_lines(users, "s.toml")[1:] == ["in s.toml"]


def test_without_workers_only_their_number_and_the_batch_size_are_set() -> None:
    result = advice()
    none = replace(result.tuning.setting, num_workers=0)
    changed = replace(result, tuning=replace(result.tuning, setting=none))
    assert changed.speed_settings.given == {"batch_size": 32, "num_workers": 0}


class Folder:
    def __init__(self, samples: list[tuple[str, int]]) -> None:
        self.samples = samples


def test_files_of_a_data_set_are_found_by_its_list_of_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"12345")
    assert files_of(Folder([(str(path), 0)])) == [path]
    assert files_of(Folder([("absent.jpg", 0)])) == []
    assert files_of(None) == []
    assert files_outgrow_memory([path] * 3, available_bytes=14)
    assert not files_outgrow_memory([path] * 3, available_bytes=15)
