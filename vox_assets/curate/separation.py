"""Tests the evaluator on damaged rows that its fit has not seen."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
import polars as pl

from vox_assets.contract.interval import area_under_curve, wilson
from vox_assets.curate.artefacts import in_dialogue
from vox_assets.curate.meter import dialogues
from vox_assets.curate.mutants import in_fit, plant
from vox_assets.curate.planted_artefacts import PLANTED, UNKNOWN_NAME, Clean, spoil
from vox_assets.curate.scoring import LOWEST, LocalEvaluator
from vox_assets.store.cache import content_key

#: One line per real row (`mutant` is null) and per damaged row, with its score.
SEPARATION_SCHEMA = pl.Schema(
    {
        "pair_id": pl.String,
        "mutant": pl.String,
        "language": pl.String,
        "score": pl.Float64,
        "rejected": pl.Boolean,
    }
)
#: One line per language and kind of damage. `auc` compares the damaged rows with all real rows of
#: the language, `rejected` is the share of damaged rows that are dropped; both with intervals.
REPORT_SCHEMA = pl.Schema(
    {
        "language": pl.String,
        "kind": pl.String,
        "planted": pl.Int64,
        "real": pl.Int64,
        "auc": pl.Float64,
        "auc_low": pl.Float64,
        "auc_high": pl.Float64,
        "rejected": pl.Float64,
        "rejected_low": pl.Float64,
        "rejected_high": pl.Float64,
    }
)


def separation(
    evaluator: LocalEvaluator, scored: pl.DataFrame, per_kind: int, seed: int
) -> pl.DataFrame:
    """Score real rows and damaged copies of them: a table of SEPARATION_SCHEMA.

    `scored` is a scored table. Real rows are all rows outside the fit, kept or not; only kept rows
    with one question are damaged, because a damaged copy of a poor row proves nothing. Up to
    `per_kind` rows of each language are damaged in each way.
    """
    outside = scored.filter(~pl.col("pair_id").map_elements(in_fit, return_dtype=pl.Boolean))
    whole = outside.filter(pl.col("kept"))
    if "messages" in whole.columns:
        whole = whole.filter(pl.col("messages").list.len() == 2)
    texts = whole.select("pair_id", "prompt", "response", "language", "lane")
    # Without the names of the workspace, a call of no function looks like any other.
    kinds = [kind for kind in PLANTED if kind != UNKNOWN_NAME or evaluator.meter.names is not None]
    parts = [
        damaged
        for (_,), group in sorted(texts.partition_by("language", as_dict=True).items())
        for damaged in (plant(group, per_kind, seed), plant_artefacts(group, per_kind, seed, kinds))
    ]
    real = outside.select(
        "pair_id",
        pl.lit(None, pl.String).alias("mutant"),
        "language",
        "score",
        (~pl.col("kept")).alias("rejected"),
    )
    spoilt = pl.concat(parts) if parts else texts.head(0)
    if spoilt.is_empty():
        return pl.DataFrame(schema=SEPARATION_SCHEMA)
    # A damaged row inherits what depends on other rows; the rest is measured again.
    inherited = spoilt.select("pair_id").join(
        whole.select("pair_id", "neighbour_distance", "freshness"),
        on="pair_id",
        how="left",
        maintain_order="left",
    )
    # A rule drops rows with artefacts whatever their other features are: measuring these would
    # cost more than everything else here.
    is_found = pl.Series(
        [
            bool(in_dialogue(dialogue, language, evaluator.meter.names))
            for dialogue, language in zip(dialogues(spoilt), spoilt["language"], strict=True)
        ],
        dtype=pl.Boolean,
    )
    found = spoilt.filter(is_found).with_columns(
        pl.lit(LOWEST).alias("score"), pl.lit(False).alias("kept")
    )
    judged = evaluator.score(
        spoilt.filter(~is_found),
        inherited.filter(~is_found).drop("pair_id"),
        evaluator.meter.corpus_of(scored),
    )
    columns = ("pair_id", "mutant", "language", "score", (~pl.col("kept")).alias("rejected"))
    return pl.concat([real, found.select(columns), judged.select(columns)])


def plant_artefacts(
    rows: pl.DataFrame, per_kind: int, seed: int, kinds: Sequence[str] = tuple(PLANTED)
) -> pl.DataFrame:
    """Plant each kind of artefact in up to `per_kind` rows: the columns of `rows`, and `mutant`."""
    records = rows.to_dicts()
    planted = []
    for kind in kinds:
        order = sorted(records, key=lambda row: content_key(str(seed), kind, row["pair_id"]))
        found = 0
        for record in order:
            if found == per_kind:
                break
            rng = random.Random(content_key(str(seed), kind, record["pair_id"]))
            clean = Clean(record["prompt"], record["response"], record["language"])
            answer = spoil(clean, kind, rng)
            if answer is not None:
                planted.append({**record, "response": answer, "mutant": kind})
                found += 1
    return pl.DataFrame(planted, schema={**rows.schema, "mutant": pl.String()})


def separation_report(separated: pl.DataFrame) -> pl.DataFrame:
    """Summarise a separation by language and kind: a table of REPORT_SCHEMA."""
    real = separated.filter(pl.col("mutant").is_null())
    by_language = {
        language: group["score"].to_numpy()
        for (language,), group in real.partition_by("language", as_dict=True).items()
    }
    lines = []
    damaged = separated.drop_nulls("mutant")
    for (language, kind), group in sorted(
        damaged.partition_by("language", "mutant", as_dict=True).items()
    ):
        others = by_language.get(language, np.empty(0))
        area = area_under_curve(auc(others, group["score"].to_numpy()), len(others), len(group))
        share = wilson(int(group["rejected"].sum()), len(group))
        lines.append(
            (
                *(language, kind, len(group), len(others)),
                *(area.value, area.low, area.high),
                *(share.value, share.low, share.high),
            )
        )
    return pl.DataFrame(lines, schema=REPORT_SCHEMA, orient="row")


def auc(real: np.ndarray, mutants: np.ndarray) -> float:
    """Compute the probability that a real row scores above a mutant; ties count half.

    The Mann-Whitney statistic, which is the area under the ROC curve.
    """
    if not len(real) or not len(mutants):
        return math.nan
    ordered = np.sort(real)
    above = len(real) - np.searchsorted(ordered, mutants, side="right")
    equal = np.searchsorted(ordered, mutants, side="right") - np.searchsorted(ordered, mutants)
    return float((above + equal / 2).sum() / (len(real) * len(mutants)))
