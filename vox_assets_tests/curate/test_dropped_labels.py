"""The labels of dropped rows are complete, and docs/curation.md gives their figures."""

from __future__ import annotations

import csv
from pathlib import Path

from vox_assets.contract.interval import wilson

LABELS = Path(__file__).with_name("dropped_labels.csv")
DOCS = Path(__file__).parents[2] / "docs" / "curation.md"


def labels() -> list[dict[str, str]]:
    with LABELS.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_every_label_has_a_verdict_and_a_reason() -> None:
    rows = labels()
    assert len(rows) >= 200
    assert len({row["pair_id"] for row in rows}) == len(rows)
    assert {row["keep"] for row in rows} == {"yes", "no"}
    assert all(row["reason"] and len(row["pair_id"]) == 32 for row in rows)


def test_the_documentation_gives_the_figures_of_the_labels() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for name in ("artefact", "score", "all"):
        group = [
            row
            for row in labels()
            if name == "all" or (row["dropped_as"] == "score") == (name == "score")
        ]
        kept = sum(row["keep"] == "yes" for row in group)
        assert f"| {name} | {len(group)} | {kept} | {wilson(kept, len(group))} |" in text
