"""Checks of curated tables, as pure functions that return a verdict."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from vox_assets.contract.interval import Interval
from vox_assets.contract.verdict import EXAMPLES, Verdict
from vox_assets.curate.dedup import residual_duplicates
from vox_assets.curate.ledger import imbalance, unaccounted
from vox_assets.curate.planted_artefacts import PLANTED
from vox_assets.curate.separation import separation_report

# Jaccard similarity that no two survivors may reach, whatever the threshold of the profile.
RESIDUAL_JACCARD = 0.85
# The whole interval of each kind must reach these. The hardest mutant is prose with its words in
# another order (on the Vox repository 0.74 [0.67, 0.80]), so the score must only beat chance there.
SEPARATION_AUC = 0.5
REJECTED_ARTEFACTS = 0.8


def no_residual_duplicates(survivors: pl.DataFrame) -> Verdict:
    """Check that no two survivors are equal or have a Jaccard similarity of 0.85 or more."""
    faults = [
        f"{left} ~ {right} ({similarity:.2f})"
        for left, right, similarity in residual_duplicates(survivors, RESIDUAL_JACCARD)
    ]
    return Verdict.none_of(faults, "pairs of duplicates", survivors.height)


def rows_balance(rows_in: set[str], rows_out: Iterable[str], dropped: Iterable[str]) -> Verdict:
    """Check that rows in = rows out + rows dropped."""
    lost, remaining = list(dropped), set(rows_out)
    faults = imbalance(rows_in, remaining, lost)
    return Verdict(
        passed=not faults,
        summary="; ".join(faults)
        or f"{len(rows_in):,} rows in = {len(remaining):,} out + {len(lost):,} dropped",
        figures={"rows_in": len(rows_in), "rows_out": len(remaining), "dropped": len(lost)},
    )


def steps_balance(
    sources: Iterable[pl.DataFrame],
    deduped: pl.DataFrame,
    dedup_drops: pl.DataFrame,
    scored: pl.DataFrame,
    mix: pl.DataFrame,
    mix_drops: pl.DataFrame,
) -> Verdict:
    """Check rows in = rows out + rows dropped at dedup, at scoring and at the mix."""
    kept = pl.col("kept")
    steps = {
        "deduped_corpus": rows_balance(
            {item for table in sources for item in table["pair_id"]},
            deduped["pair_id"],
            dedup_drops["pair_id"],
        ),
        "scored_corpus": rows_balance(
            set(deduped["pair_id"]),
            scored.filter(kept)["pair_id"],
            scored.filter(~kept, pl.col("drop_reason").fill_null("") != "")["pair_id"],
        ),
        "training_mix": rows_balance(
            set(scored.filter(kept)["pair_id"]), mix["pair_id"], mix_drops["pair_id"]
        ),
    }
    return Verdict(
        all(step.passed for step in steps.values()),
        "; ".join(f"{name}: {step.summary}" for name, step in steps.items()),
        {f"{name}/{key}": n for name, step in steps.items() for key, n in step.figures.items()},
    )


#: Columns that each step copies from its input. Text is left out: the pair id is its digest.
COPIED = ("pair_id", "lane", "language", "origin", "source_path", "source_start_line")


def one_build(
    sources: Iterable[pl.DataFrame],
    deduped: pl.DataFrame,
    dedup_drops: pl.DataFrame,
    scored: pl.DataFrame,
    mix: pl.DataFrame,
    mix_drops: pl.DataFrame,
) -> Verdict:
    """Check that every table was made from the rows that its input has now.

    A build that stopped early leaves newer tables before older ones. Then rows of the older tables
    are missing in the newer ones, have other values there, or newer rows were never read.
    """
    parts = list(sources)
    steps = {
        "deduped_corpus against the sources": (
            rows_balance(_ids(*parts), deduped["pair_id"], dedup_drops["pair_id"]),
            _changed(deduped, pl.concat(part.select(COPIED) for part in parts), COPIED),
        ),
        "scored_corpus against deduped_corpus": (
            rows_balance(_ids(deduped), scored["pair_id"], ()),
            _changed(scored, deduped, COPIED),
        ),
        "training_mix against scored_corpus": (
            rows_balance(_ids(scored.filter("kept")), mix["pair_id"], mix_drops["pair_id"]),
            _changed(mix, scored, (*COPIED, "score")),
        ),
    }
    faults = []
    for step, (balance, changed) in steps.items():
        found = [] if balance.passed else [balance.summary]
        found += [f"{changed:,} rows with other values"] if changed else []
        faults += [f"{step}: {'; '.join(found)}"] if found else []
    return Verdict(
        not faults,
        f"the tables are not of one build: {'; '.join(faults)}"
        if faults
        else f"{len(steps)} tables are of one build",
        {"faults": len(faults)},
    )


def ledger_of_one_build(ledger: pl.DataFrame, rebuilt: pl.DataFrame) -> Verdict:
    """Check that the ledger has exactly the lines that the current tables give."""
    stale = ledger.join(rebuilt, on=ledger.columns, how="anti", nulls_equal=True).height
    missing = rebuilt.join(ledger, on=ledger.columns, how="anti", nulls_equal=True).height
    return Verdict(
        not stale and not missing,
        f"row_ledger is not of this build: {stale:,} of its {ledger.height:,} lines are not those "
        f"of the tables, and {missing:,} of {rebuilt.height:,} lines are missing"
        if stale or missing
        else f"{ledger.height:,} lines of row_ledger are those of the tables",
        {"stale": stale, "missing": missing},
    )


def _ids(*tables: pl.DataFrame) -> set[str]:
    return {pair_id for table in tables for pair_id in table["pair_id"]}


def _changed(rows: pl.DataFrame, earlier: pl.DataFrame, columns: tuple[str, ...]) -> int:
    """Count the rows whose pair id `earlier` has, but with other values in `columns`."""
    known = rows.select(columns).join(earlier.select("pair_id"), on="pair_id", how="semi")
    return known.join(earlier.select(columns), on=columns, how="anti", nulls_equal=True).height


def ledger_balances(ledger: pl.DataFrame) -> Verdict:
    """Check that every row has exactly one line in the ledger, with its fate."""
    faults = [f"{pair_id} has no fate" for pair_id in unaccounted(ledger)]
    repeated = ledger.filter(pl.col("pair_id").is_duplicated())["pair_id"].unique().sort()
    faults += [f"{pair_id} has two lines" for pair_id in repeated]
    return Verdict.none_of(faults, "rows without exactly one fate", ledger.height)


# Columns by which rows are counted before and after scoring.
GROUPINGS = ("lane", "language", "task_family")


def survival(scored: pl.DataFrame) -> pl.DataFrame:
    """Count rows before and after scoring, by the columns of `GROUPINGS`."""
    return pl.concat(
        [
            scored.group_by(pl.col(by).alias("group"))
            .agg(
                pl.len().cast(pl.Int64).alias("rows"),
                pl.col("kept").sum().cast(pl.Int64),
                pl.col("kept").mean().round(3).alias("share"),
                pl.col("score").median().round(2).alias("median_score"),
            )
            .sort("group")
            .select(pl.lit(by).alias("by"), pl.all())
            for by in GROUPINGS
        ]
    )


def nothing_emptied(scored: pl.DataFrame) -> Verdict:
    """Check that scoring keeps a row of every lane, language and task family."""
    groups = survival(scored)
    faults = [
        f"{by} {group} lost all of its {rows:,} rows"
        for by, group, rows in groups.filter(pl.col("kept") == 0)
        .select("by", "group", "rows")
        .iter_rows()
    ]
    return Verdict.none_of(faults, "groups that scoring emptied", groups.height)


def costliest(scored: pl.DataFrame) -> pl.DataFrame:
    """Count discarded rows by the feature that lowered their score most: `feature`, `rows`."""
    return (
        scored.select(pl.col("costliest_feature").alias("feature"))
        .drop_nulls()
        .group_by("feature")
        .len("rows")
        .sort("rows", "feature", descending=[True, False])
    )


def evaluator_separates(separated: pl.DataFrame) -> Verdict:
    """Check each language and kind of damage by the interval that the report shows.

    Mutants must be separated from all real rows of their language (AUC of at least
    SEPARATION_AUC), planted artefacts must be rejected (a share of at least REJECTED_ARTEFACTS).
    """
    report = separation_report(separated)
    if report.is_empty():
        return Verdict(False, "no mutants were scored: no kept row is outside the fit")
    claims: dict[str, tuple[bool | None, Interval]] = {}
    for line in report.iter_rows(named=True):
        measure = "rejected" if line["kind"] in PLANTED else "auc"
        interval = Interval(*(line[f"{measure}{end}"] for end in ("", "_low", "_high")))
        floor = REJECTED_ARTEFACTS if measure == "rejected" else SEPARATION_AUC
        name = f"{measure}/{line['language']}/{line['kind']}"
        claims[name] = interval.at_least(floor), interval
    failed = [name for name, (claim, _) in claims.items() if claim is False]
    open_ = [name for name, (claim, _) in claims.items() if claim is None]
    shown = "; ".join(f"{name} {claims[name][1]}" for name in (failed + open_)[:EXAMPLES])
    return Verdict(
        passed=not failed and not open_,
        undecided=not failed and bool(open_),
        summary=f"{len(claims)} kinds: {len(failed)} too low, {len(open_)} undecided (AUC above "
        f"{SEPARATION_AUC}, {REJECTED_ARTEFACTS:.0%} of artefacts rejected)"
        + (f": {shown}" if shown else ""),
        figures={name: round(interval.value, 4) for name, (_, interval) in claims.items()},
    )
