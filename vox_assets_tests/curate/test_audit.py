"""The audit counts what scoring drops in each group and names a group that lost all rows."""

from __future__ import annotations

import polars as pl

from vox_assets.curate.audit import costliest, nothing_emptied, survival


def scored(**changes: list) -> pl.DataFrame:
    columns = {
        "lane": ["vox_codegen", "vox_codegen", "vox_docs_qa"],
        "language": ["vox", "rust", "markdown"],
        "task_family": ["docs_code", "implement_from_doc", "docs_qa"],
        "score": [9.0, 5.0, 8.0],
        "kept": [True, False, True],
        "drop_reason": [None, "score below 7: 5.0 by parses 0.00, complete 0.00", None],
        "costliest_feature": [None, "parses", None],
    }
    return pl.DataFrame({**columns, **changes})


def test_rows_are_counted_before_and_after_in_each_group() -> None:
    counted = {(by, group): (rows, kept) for by, group, rows, kept, *_ in survival(scored()).rows()}
    assert counted["lane", "vox_codegen"] == (2, 1)
    assert counted["language", "rust"] == (1, 0)
    assert counted["task_family", "docs_qa"] == (1, 1)


def test_a_group_that_scoring_emptied_is_named() -> None:
    verdict = nothing_emptied(scored())
    assert not verdict.passed
    assert "language rust lost all of its 1 rows" in verdict.summary
    assert "vox_codegen" not in verdict.summary
    assert nothing_emptied(scored(kept=[True] * 3)).passed


def test_costliest_features_are_counted_by_the_column() -> None:
    assert costliest(scored()).rows() == [("parses", 1)]
    assert (
        costliest(
            scored(costliest_feature=[None, None, None]).cast({"costliest_feature": pl.String})
        ).rows()
        == []
    )
