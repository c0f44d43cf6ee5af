"""The ledger has one line per row with its fate, and every step of a build balances."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from vox_assets.contract.rows import Drop, drops_to_frame, to_frame
from vox_assets.contract.verdict import Verdict
from vox_assets.curate.audit import (
    ledger_balances,
    ledger_of_one_build,
    one_build,
    rows_balance,
    steps_balance,
)
from vox_assets.curate.ledger import build_ledger, funnel, reasons, story
from vox_assets_tests.conftest import make_pair

TRAINED, LOST, POOR, CUT = (make_pair(f"p{i}", f"fn f{i}() {{}}") for i in range(4))


def tables() -> dict[str, pl.DataFrame]:
    deduped = to_frame([TRAINED, POOR, CUT]).with_columns(
        cluster_id=pl.col("pair_id"), cluster_size=pl.lit(1)
    )
    scored = deduped.with_columns(
        score=pl.Series([9.0, 5.0, 8.0]),
        kept=pl.Series([True, False, True]),
        drop_kind=pl.Series([None, "score below 7", None]),
        drop_detail=pl.Series([None, "5.0 by parses 0.00", None]),
        drop_reason=pl.Series([None, "score below 7: 5.0 by parses 0.00", None]),
    )
    mix = scored[[0]].with_columns(split=pl.lit("train"), tokens=pl.lit(12))
    return {
        "raw_rust_fns": to_frame([TRAINED, LOST, POOR, CUT]),
        "deduped_corpus": deduped,
        "scored_corpus": scored,
        "training_mix": mix,
    }


def drops() -> dict[str, pl.DataFrame]:
    return {
        "deduped_corpus": drops_to_frame(
            [
                Drop(
                    "dedup",
                    "near duplicate",
                    pair_id=LOST.pair_id,
                    lost_to=TRAINED.pair_id,
                    similarity=0.9,
                )
            ]
        ),
        "training_mix": drops_to_frame([Drop("training_mix", "budget", pair_id=CUT.pair_id)]),
    }


def ledger(**changes: Any) -> pl.DataFrame:
    t, d = tables(), drops()
    parts: dict[str, Any] = {
        "sources": {"raw_rust_fns": t["raw_rust_fns"]},
        "dedup_drops": d["deduped_corpus"],
        "scored": t["scored_corpus"],
        "mix_drops": d["training_mix"],
        "mix": t["training_mix"],
    }
    return build_ledger(**{**parts, **changes})


def test_each_pair_has_one_line_with_fate_stage_and_winner() -> None:
    fates = {row["pair_id"]: row for row in ledger().iter_rows(named=True)}
    assert len(fates) == 4
    assert fates[TRAINED.pair_id]["fate"] == "trained"
    assert fates[LOST.pair_id]["lost_to"] == TRAINED.pair_id
    assert fates[POOR.pair_id]["stage"] == "scored_corpus"
    assert fates[CUT.pair_id]["reason"] == "budget"
    assert ledger_balances(ledger()).passed


def test_a_row_that_no_step_accounts_for_fails_the_balance() -> None:
    verdict = ledger_balances(ledger(mix_drops=drops()["training_mix"].clear()))
    assert not verdict.passed
    assert CUT.pair_id in verdict.summary


@pytest.mark.parametrize(
    ("rows_out", "dropped", "message"),
    [
        ({"a"}, ["b"], None),
        ({"a"}, [], "1 rows vanished"),
        ({"a", "b", "c"}, [], "1 rows appeared"),
        ({"a", "b"}, ["b"], "both kept and dropped"),
        ({"a"}, ["b", "b"], "dropped more than once"),
    ],
)
def test_rows_in_are_rows_out_plus_dropped(
    rows_out: set[str], dropped: list[str], message: str | None
) -> None:
    verdict = rows_balance({"a", "b"}, rows_out, dropped)
    assert verdict.passed == (message is None)
    assert (message or "2 rows in = 1 out + 1 dropped") in verdict.summary


def test_the_funnel_counts_the_rows_of_each_source_after_each_step() -> None:
    docs = make_pair("page", "A table keeps rows.", lane="vox_docs_qa")
    sources = {"raw_rust_fns": tables()["raw_rust_fns"], "doc_qa_pairs": to_frame([docs])}
    cut = pl.concat(
        [
            drops()["training_mix"],
            drops_to_frame([Drop("training_mix", "lane is not trained", pair_id=docs.pair_id)]),
        ]
    )
    table = ledger(sources=sources, mix_drops=cut)
    assert funnel(table).rows() == [
        ("sources", "raw_rust_fns", 4),
        ("sources", "doc_qa_pairs", 1),
        ("one copy", "raw_rust_fns", 3),
        ("one copy", "doc_qa_pairs", 1),
        ("kept by score", "raw_rust_fns", 2),
        ("kept by score", "doc_qa_pairs", 1),
        ("the mix", "raw_rust_fns", 1),
    ]
    assert ("training_mix", "lane is not trained", 1) in reasons(table).rows()


def test_a_row_with_two_fates_fails_the_balance() -> None:
    two_drops = pl.concat(
        [
            drops()["training_mix"],
            drops_to_frame([Drop("training_mix", "again", pair_id=TRAINED.pair_id)]),
        ]
    )
    verdict = ledger_balances(ledger(mix_drops=two_drops))
    assert not verdict.passed
    assert f"{TRAINED.pair_id} has two lines" in verdict.summary


def steps(**changes: Any) -> Verdict:
    t, d = tables(), drops()
    parts: dict[str, Any] = {
        "sources": [t["raw_rust_fns"]],
        "deduped": t["deduped_corpus"],
        "dedup_drops": d["deduped_corpus"],
        "scored": t["scored_corpus"],
        "mix": t["training_mix"],
        "mix_drops": d["training_mix"],
    }
    return steps_balance(**{**parts, **changes})


def test_every_step_must_balance() -> None:
    assert steps().passed
    assert steps().figures["scored_corpus/dropped"] == 1
    t = tables()
    for change, step in (
        ({"dedup_drops": drops()["deduped_corpus"].clear()}, "deduped_corpus"),
        ({"scored": t["scored_corpus"].with_columns(drop_reason=pl.lit(""))}, "scored_corpus"),
        ({"mix": t["training_mix"].clear()}, "training_mix"),
    ):
        verdict = steps(**change)
        assert not verdict.passed
        assert f"{step}: 1 rows vanished without a reason" in verdict.summary


def test_a_story_has_a_line_per_step_and_shows_the_winner() -> None:
    lines = story(LOST.pair_id, tables(), drops())
    assert "implement_from_doc in lane vox_codegen" in lines[0]
    assert "near duplicate at similarity 0.90" in lines[1]
    assert TRAINED.pair_id in lines[1]
    assert lines[2:] == [f"  prompt: {TRAINED.prompt}", f"  answer: {TRAINED.response}"]
    lines = story(TRAINED.pair_id, tables(), drops())
    assert f"deduped_corpus: {LOST.pair_id} lost to it" in "\n".join(lines)
    assert lines[-1] == "training_mix: in the train split with 12 tokens."


def test_a_build_that_stopped_early_has_a_story_too() -> None:
    first = {"raw_rust_fns": tables()["raw_rust_fns"]}
    assert len(story(LOST.pair_id, first, {})) == 1


def test_an_unknown_id_is_refused() -> None:
    with pytest.raises(LookupError, match="no table has a row"):
        story("f" * 32, tables(), drops())


def build_verdict(**changes: Any) -> Verdict:
    t, d = tables(), drops()
    parts: dict[str, Any] = {
        "sources": [t["raw_rust_fns"]],
        "deduped": t["deduped_corpus"],
        "dedup_drops": d["deduped_corpus"],
        "scored": t["scored_corpus"],
        "mix": t["training_mix"],
        "mix_drops": d["training_mix"],
    }
    return one_build(**{**parts, **changes})


NEWER = make_pair("newer", "fn newer() {}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            # The sources were built again, and a row is new.
            {"sources": [to_frame([TRAINED, LOST, POOR, CUT, NEWER])]},
            "deduped_corpus against the sources: 1 rows vanished without a reason",
        ),
        (
            # The sources were built again, and a row is gone.
            {"sources": [to_frame([TRAINED, LOST, CUT])]},
            "deduped_corpus against the sources: 1 rows appeared from nowhere",
        ),
        (
            {
                "sources": [
                    to_frame(
                        [
                            make_pair("p0", "fn f0() {}", source_path="crates/moved.rs"),
                            LOST,
                            POOR,
                            CUT,
                        ]
                    )
                ]
            },
            "deduped_corpus against the sources: 1 rows with other values",
        ),
        (
            {
                "deduped": tables()["deduped_corpus"].head(2),
                "sources": [to_frame([TRAINED, LOST, POOR])],
            },
            "scored_corpus against deduped_corpus: 1 rows appeared from nowhere",
        ),
        (
            # The corpus was scored again, and the trained row is no longer kept.
            {
                "scored": tables()["scored_corpus"].with_columns(
                    kept=pl.Series([False, False, True])
                )
            },
            "training_mix against scored_corpus: 1 rows appeared from nowhere",
        ),
        (
            {"scored": tables()["scored_corpus"].with_columns(kept=pl.lit(True))},
            "training_mix against scored_corpus: 1 rows vanished without a reason",
        ),
        (
            # The corpus was scored again with other weights, and keeps the same rows.
            {"scored": tables()["scored_corpus"].with_columns(score=pl.col("score") - 0.25)},
            "training_mix against scored_corpus: 1 rows with other values",
        ),
        (
            # The mix was selected again, and its drops are newer than its rows.
            {"mix_drops": drops()["training_mix"].clear()},
            "training_mix against scored_corpus: 1 rows vanished without a reason",
        ),
    ],
)
def test_tables_of_two_builds_are_refused_by_name_and_count(
    changes: dict[str, Any], message: str
) -> None:
    assert build_verdict().passed
    verdict = build_verdict(**changes)
    assert not verdict.passed
    assert verdict.summary.startswith("the tables are not of one build: ")
    assert message in verdict.summary
    assert "\n" not in verdict.summary


def test_tables_without_rows_are_of_one_build() -> None:
    t, d = tables(), drops()
    empty: dict[str, Any] = {
        "sources": [t["raw_rust_fns"].clear()] * 3,
        "deduped": t["deduped_corpus"].clear(),
        "dedup_drops": d["deduped_corpus"].clear(),
        "scored": t["scored_corpus"].clear(),
        "mix": t["training_mix"].clear(),
        "mix_drops": d["training_mix"].clear(),
    }
    assert one_build(**empty).passed


def test_a_row_of_two_sources_is_of_one_build_with_the_values_of_either() -> None:
    other = make_pair("p0", "fn f0() {}", source_path="docs/src/page.md")
    assert build_verdict(sources=[tables()["raw_rust_fns"], to_frame([other])]).passed


def test_a_ledger_with_lines_of_another_build_is_refused_with_both_counts() -> None:
    current = ledger()
    assert ledger_of_one_build(current, current.reverse()).passed
    older = current.filter(pl.col("pair_id") != CUT.pair_id).with_columns(
        fate=pl.when(pl.col("pair_id") == TRAINED.pair_id)
        .then(pl.lit("evaluated"))
        .otherwise("fate")
    )
    verdict = ledger_of_one_build(older, current)
    assert not verdict.passed
    assert verdict.summary == (
        "row_ledger is not of this build: 1 of its 3 lines are not those of the tables, and 2 of 4 "
        "lines are missing"
    )
