"""The labels of dropped rows are complete, and docs/curation.md gives their figures."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from vox_assets.contract.interval import wilson

LABELS = Path(__file__).with_name("dropped_labels.csv")
DOCS = Path(__file__).parents[2] / "docs" / "curation.md"
#: How the labels name rows that no artefact dropped.
SCORE, SECRET, KEPT = "score", "secret", "kept"
#: Name of a line of the tables of the documentation -> whether a row belongs to it.
GROUPS = {
    "artefact": lambda dropped_as: dropped_as not in (SCORE, SECRET, KEPT),
    "score": lambda dropped_as: dropped_as == SCORE,
    "all": lambda dropped_as: dropped_as != KEPT,
    "kept": lambda dropped_as: dropped_as == KEPT,
}


def labels(sample: str) -> list[dict[str, str]]:
    with LABELS.open(encoding="utf-8") as lines:
        return [row for row in csv.DictReader(lines) if row["sample"] == sample]


def test_every_label_has_a_verdict_and_a_reason() -> None:
    rows = labels("tuning") + labels("measured")
    assert len({row["pair_id"] for row in rows}) == len(rows)
    assert {row["keep"] for row in rows} == {"yes", "no"}
    assert all(row["reason"] and len(row["pair_id"]) == 32 for row in rows)


def test_two_hundred_dropped_rows_are_labelled_that_no_detector_was_adjusted_to() -> None:
    measured = labels("measured")
    assert sum(GROUPS["all"](row["dropped_as"]) for row in measured) == 200
    assert sum(GROUPS["kept"](row["dropped_as"]) for row in measured) == 60


@pytest.mark.parametrize("sample", ["tuning", "measured"])
@pytest.mark.parametrize("group", GROUPS)
def test_the_documentation_gives_the_figures_of_the_labels(sample: str, group: str) -> None:
    chosen = [row for row in labels(sample) if GROUPS[group](row["dropped_as"])]
    if chosen:
        good = sum(row["keep"] == "yes" for row in chosen)
        line = f"| {sample} | {group} | {len(chosen)} | {good} | {wilson(good, len(chosen))} |"
        assert line in DOCS.read_text(encoding="utf-8")
