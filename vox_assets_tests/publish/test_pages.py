"""A report is one file that needs no network, and the text of rows is escaped."""

from __future__ import annotations

import re

import polars as pl
import pytest

from vox_assets.contract.rows import turns
from vox_assets.curate.separation import SEPARATION_SCHEMA, separation_report
from vox_assets.publish.pages import render_adapter, render_report
from vox_assets_tests.small_corpus import as_scored, judged, make_pair


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
        {"profile": "sample", "source commit": "abc"},
        pl.DataFrame(
            [("sources", "docs", 30), ("sources", "rust", 50), ("the mix", "rust", len(mixed))],
            schema=["step", "source_asset", "rows"],
            orient="row",
        ),
        pl.DataFrame({"stage": ["scored_corpus"], "reason": ["score below 7"], "rows": [9]}),
        scored,
        mixed,
        kinds=separation_report(separation),
        weights={"rust": {"parses": 1.9, "surprise": -0.7}},
        separation=separation,
    )


def test_the_adapter_report_shows_training_and_evaluation() -> None:
    page = render_adapter(
        "sample adapter",
        {"adapter": "a1"},
        curve=[
            {"step": 0, "watched_nll": 3.0},
            {"step": 1, "loss": 2.9},
            {"step": 2, "loss": 2.5, "watched_nll": 2.6},
        ],
        evaluation=judged(*[0.7, 0.8] * 6),
    )
    for words in ("Training", "beats_base", "0.750 [0.717, 0.783]", "100% [91%, 100%]"):
        assert words in page
    assert page.count("data:image/svg+xml;base64,") == 1


def test_the_corpus_report_has_every_section(report: str) -> None:
    for words in (
        "From sources to the mix",
        "score below 7",
        "median_score",
        "Lanes",
        "Languages",
        "Lengths",
        "Scores",
        "Evaluators",
        "auc_low",
        "Rows of vox_codegen",
    ):
        assert words in report
    assert report.count("data:image/svg+xml;base64,") == 8


def test_a_report_loads_nothing_from_the_network(report: str) -> None:
    assert not re.search(r"(?:src|href)=\"(?!data:)", report)
    assert "<script" not in report and "@import" not in report


def test_rows_cannot_inject_markup(mixed: pl.DataFrame) -> None:
    hostile = as_scored([make_pair(1, 1, messages=turns("<b>?", "<script>alert(1)</script>"))])
    report = render(hostile, mixed)
    assert "<script>" not in report and "&lt;script&gt;" in report


def test_the_same_corpus_gives_the_same_report(
    report: str, scored: pl.DataFrame, mixed: pl.DataFrame
) -> None:
    assert render(scored, mixed) == report
