"""A report is one file that needs no network, and the text of rows is escaped."""

from __future__ import annotations

import base64
import re

import polars as pl
import pytest

from vox_assets.contract.rows import turns
from vox_assets.curate.separation import SEPARATION_SCHEMA, separation_report
from vox_assets.publish.figures import histogram
from vox_assets.publish.pages import CheckLine, Origin, Table, render_adapter, render_report
from vox_assets_tests.small_corpus import as_scored, judged, make_pair

ORIGIN = Origin(
    {"written": "2026-11-28 03:32 UTC", "profile": "sample", "source commit": "abc"},
    [
        CheckLine("training_mix:no_secrets", "passed", "no secrets in 9", "this"),
        CheckLine("row_ledger:rows_accounted", "failed", "3 rows without a fate", "run 1f2e"),
    ],
    ["The adapter a1 is of another build."],
)


@pytest.fixture(scope="module")
def report(scored: pl.DataFrame, mixed: pl.DataFrame) -> str:
    return render(scored, mixed)


def render(scored: pl.DataFrame, mixed: pl.DataFrame) -> str:
    separation = pl.DataFrame(
        [
            ("a", None, "rust", 9.0, False),
            ("b", None, "rust", 6.0, True),
            ("a", "swapped", "rust", 7.0, False),
            ("a", "swapped", "rust", 2.0, True),
        ],
        schema=SEPARATION_SCHEMA,
        orient="row",
    )
    return render_report(
        "Corpus report",
        ORIGIN,
        pl.DataFrame(
            [("sources", "docs", 30), ("sources", "rust", 50), ("the mix", "rust", len(mixed))],
            schema=["step", "source_asset", "rows"],
            orient="row",
        ),
        pl.DataFrame({"stage": ["scored_corpus"], "reason": ["score below 7"], "rows": [1234]}),
        scored,
        mixed,
        threshold=7.0,
        kinds=separation_report(separation),
        weights={"rust": {"parses": 1.9, "surprise": -0.7}},
        separation=separation,
    ).html()


def test_the_adapter_report_shows_training_and_evaluation() -> None:
    page = render_adapter(
        "sample adapter",
        Origin({"adapter": "a1"}),
        curve=[
            {"step": 0, "watched_nll": 3.0},
            {"step": 1, "loss": 2.9},
            {"step": 2, "loss": 2.5, "watched_nll": 2.6},
        ],
        evaluation=judged(*[0.7, 0.8] * 6),
    ).html()
    for words in ("Training", "beats_base", "0.750 [0.717, 0.783]", "100% [91%, 100%]"):
        assert words in page
    assert page.count("data:image/svg+xml;base64,") == 1


def test_the_corpus_report_has_every_section(report: str) -> None:
    for words in (
        "From sources to the mix",
        "score below 7",
        "median score",
        ">1,234<",
        "Lanes",
        "Languages",
        "Lengths",
        "Scores",
        "Evaluators",
        "AUC [95 %]",
        "Rows of vox_codegen",
    ):
        assert words in report
    assert report.count("data:image/svg+xml;base64,") == 8


def test_a_report_names_its_date_its_build_and_other_builds(report: str) -> None:
    for words in ("2026-11-28 03:32 UTC", "abc", "The adapter a1 is of another build."):
        assert words in report
    assert report.index("another build") < report.index("<h2")


def test_a_report_shows_the_checks_with_failures_first(report: str) -> None:
    assert "1 of 2 passed." in report
    assert report.index("row_ledger:rows_accounted") < report.index("training_mix:no_secrets")
    assert '<td class="failed">failed</td>' in report


def test_the_contents_link_to_every_section(report: str) -> None:
    links = re.findall(r'<a href="#(s\d+)">([^<]+)</a>', report)
    assert links == re.findall(r'<h2 id="(s\d+)">([^<]+)</h2>', report)
    assert len(links) > 8


def test_numbers_of_a_table_are_formatted_alike_and_align_right() -> None:
    table = Table(
        ["group", "rows", "share", "loss", "ratio"],
        [("a", 12345, "98.8%", 0.5, "0.719 [0.615, 0.822]"), ("b", 7, "1.0%", 1.25, "1.000 [0.9]")],
    )
    assert table.cells[0] == ["a", "12,345", "98.8%", "0.500", "0.719 [0.615, 0.822]"]
    assert table.numbers == {1, 2, 3, 4}


def test_the_histogram_of_the_score_marks_the_threshold(scored: pl.DataFrame) -> None:
    plain, marked = (histogram("scores", scored, "score", mark=mark) for mark in (None, 7.25))
    svg = [base64.b64decode(figure.source.partition(",")[2]).decode() for figure in (plain, marked)]
    assert "threshold 7.25" not in svg[0]
    assert "threshold 7.25" in svg[1]


def test_a_report_loads_nothing_from_the_network(report: str) -> None:
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", report)
    assert "<script" not in report and "@import" not in report


def test_rows_cannot_inject_markup(mixed: pl.DataFrame) -> None:
    hostile = as_scored([make_pair(1, 1, messages=turns("<b>?", "<script>alert(1)</script>"))])
    report = render(hostile, mixed)
    assert "<script>" not in report and "&lt;script&gt;" in report


def test_the_same_corpus_gives_the_same_report(
    report: str, scored: pl.DataFrame, mixed: pl.DataFrame
) -> None:
    assert render(scored, mixed) == report
