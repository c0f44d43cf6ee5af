"""Scores rows from 1 to 10 by their features, and names the features that lowered a score most.

The score is 1 + 9 p, where p is the probability that a row is real and not a mutant (`mutants`),
by one logistic model per language of the answer. The sign of each weight is fixed by its meaning,
so that weights can be interpreted. `calibrate` fits the values into `calibration.json`, so that a
score means the same in every build.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from vox_assets.contract.rows import reason_text
from vox_assets.curate import features
from vox_assets.curate.artefacts import ARTEFACT, in_dialogue
from vox_assets.curate.evaluators import RATED
from vox_assets.curate.meter import Corpus, Meter, dialogues, to_read
from vox_assets.curate.perplexity import within_perplexity
from vox_assets.profiles import Scoring

CALIBRATION_FILE = Path(__file__).with_name("calibration.json")

LOWEST, HIGHEST = 1.0, 10.0
# Features are clipped at this many standard deviations, so that no outlier decides alone.
CLIP = 3.0
# The language model is expensive. It reads only rows where a value within this many standard
# deviations of the mean can change the verdict. Of 500 random rows of the Vox repository that is
# 38 %, and 1.4 % of all verdicts differ from reading everything; 0.5 reads 26 % and differs in
# 3.6 %, 1.0 reads 47 % and differs in 0.4 %.
ORDINARY = 0.75
# Number of features named in a reason: more would hide the important features.
REASONS = 3
# Log-odds that artefacts cost: more than all other features can add, so that none passes.
ARTEFACT_COST = 20.0
# Answers in a language without fitted weights are scored with the weights of this language.
CODE_FALLBACK = "rust"

#: Columns that scoring adds to a table, in order.
SCORE_COLUMNS: dict[str, pl.DataType] = {
    "score": pl.Float64(),
    **dict.fromkeys(features.FEATURES, pl.Float64()),
    "perplexity": pl.Float64(),
    "kept": pl.Boolean(),
    "drop_kind": pl.String(),
    "drop_detail": pl.String(),
    "drop_reason": pl.String(),
    "costliest_feature": pl.String(),
}
#: Meaning of each of these columns.
SCORE_MEANINGS: dict[str, str] = {
    "score": "quality from 1 to 10: 1 + 9 p for the probability p that the row is not damaged",
    **features.FEATURES,
    "perplexity": "exp(surprise) under the base model; null where the model did not read the row",
    "kept": "true where the row passes the score, the perplexity limit, the secrets and the judge",
    "drop_kind": "kind of the reason why the row is not kept; null for a kept row",
    "drop_detail": "what belongs to this row alone; empty where the kind says everything",
    "drop_reason": "kind and detail in one text",
    "costliest_feature": "feature that lowers the score most, for a row below the threshold",
}


@dataclass(frozen=True)
class Form:
    """The logistic model for answers of one language."""

    intercept: float
    center: Mapping[str, float]
    scale: Mapping[str, float]
    weight: Mapping[str, float]

    @cached_property
    def _arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        columns = (self.center, self.scale, self.weight)
        return tuple(np.array([part[f] for f in features.FEATURES]) for part in columns)  # type: ignore[return-value]

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        """Contribution of each feature to the log-odds: (rows, features) from the same shape."""
        center, scale, weight = self._arrays
        return np.clip((matrix - center) / scale, -CLIP, CLIP) * weight

    def toward(self, name: str) -> float:
        """Signed offset of a typical good value of a feature from the mean."""
        return math.copysign(ORDINARY * self.scale[name], self.weight[name])


@dataclass(frozen=True)
class Calibration:
    """The fitted forms and the name of their version."""

    version: str
    forms: Mapping[str, Form]

    @staticmethod
    def load(path: Path = CALIBRATION_FILE) -> Calibration:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Calibration(
            version=content["version"],
            forms={name: Form(**form) for name, form in content["forms"].items()},
        )

    def form(self, language: str) -> Form:
        return self.forms.get(language) or self.forms[CODE_FALLBACK]


@dataclass(frozen=True)
class LocalEvaluator:
    """Scores rows with a meter, a calibration and a policy."""

    meter: Meter
    calibration: Calibration
    policy: Scoring
    name: str = "local"

    def rate(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Score rows; return one line of `RATINGS` per row."""
        return self.score(rows).select(
            "pair_id",
            "score",
            pl.lit(RATED).alias("state"),
            pl.col("drop_reason").fill_null("").alias("note"),
        )

    def score(
        self,
        rows: pl.DataFrame,
        known: pl.DataFrame | None = None,
        corpus: Corpus | None = None,
    ) -> pl.DataFrame:
        """Add `SCORE_COLUMNS` to rows with `pair_id`, `prompt`, `response`, `lane`, `language`.

        `known` are features that are known already, one column each, in the order of `rows`.
        `corpus` is what the rows are compared with, by default the rows themselves.

        The model reads only rows whose verdict an ordinary value (`ORDINARY`) can change, and reads
        the answer alone, for IFD and model gain, only where that can still change it. Features that
        were not measured get the mean of their language; perplexity is null in that case. Features
        that the meter has no model for count as the mean too, and their columns are null.
        """
        if rows.is_empty():
            return rows.with_columns(
                *(pl.lit(None, dtype).alias(name) for name, dtype in SCORE_COLUMNS.items())
            )
        # In a frame of several chunks, polars 2.1 panics where text is joined and a column added.
        rows = rows.rechunk()
        languages = rows["language"]
        forms = [self.calibration.form(language) for language in languages]
        unmeasured = self.meter.unmeasured
        cheap = self.meter.cheap(rows, corpus)
        cheap = cheap if known is None else cheap.with_columns(known.get_columns())
        measured = cheap.with_columns(
            pl.Series(name, [form.center[name] for form in forms])
            for name in dict.fromkeys((*features.MODEL_FEATURES, *unmeasured))
        )
        measured, wanted = self._read(rows, measured)
        scores, contributions = self.judge(measured, languages)
        perplexity = np.where(wanted, np.exp(measured["surprise"].to_numpy()), np.nan)
        scored = rows.with_columns(
            pl.Series("score", scores),
            *(measured[name] for name in features.FEATURES if name not in unmeasured),
            *(pl.lit(None, pl.Float64).alias(name) for name in unmeasured),
            pl.Series("perplexity", perplexity).fill_nan(None),
        )
        good = pl.col("score") >= self.policy.threshold
        was_read = pl.col("perplexity").is_not_null()
        read = scored.select("pair_id", "lane", "language", "perplexity", "score").filter(
            good & was_read
        )
        quantile = self.policy.perplexity_quantile
        readable = set() if read.is_empty() else within_perplexity(read, quantile)
        reasons, costliest = self._reasons(measured, scores, contributions)
        is_artefact = (measured["artefacts"] > 0).rename("")
        too_low = pl.lit(f"score below {self.policy.threshold:g}")
        low = pl.when(is_artefact).then(pl.lit(ARTEFACT)).otherwise(too_low)
        names = self.meter.names if corpus is None else corpus.names
        shown = zip(
            is_artefact.arg_true(),
            dialogues(rows.filter(is_artefact)),
            languages.filter(is_artefact),
            strict=True,
        )
        for row, dialogue, language in shown:
            found = in_dialogue(dialogue, language, names)
            reasons[row] = "; ".join(reason.text for reason in found)
        details = pl.Series(reasons, dtype=pl.String)
        easy = ~was_read | pl.col("pair_id").is_in(sorted(readable))
        too_hard = "among the hardest of its lane and language"
        perplexity_of_row = pl.format("perplexity {}", pl.col("perplexity").round(1))
        return scored.with_columns(
            (good & easy).alias("kept"),
            pl.when(good & easy)
            .then(None)
            .when(good)
            .then(pl.lit(too_hard))
            .otherwise(low)
            .alias("drop_kind"),
            pl.when(good & easy)
            .then(None)
            .when(good)
            .then(perplexity_of_row)
            .otherwise(details)
            .alias("drop_detail"),
        ).with_columns(
            reason_text(pl.col("drop_kind"), pl.col("drop_detail")).alias("drop_reason"),
            costliest.alias("costliest_feature"),
        )

    def _read(self, rows: pl.DataFrame, measured: pl.DataFrame) -> tuple[pl.DataFrame, np.ndarray]:
        """Let the language model read what it can decide: its features, and which rows it read."""
        languages = rows["language"]
        if self.meter.base_model is None:
            return measured, np.zeros(len(rows), dtype=bool)
        wanted = self._undecided(measured, languages, features.MODEL_FEATURES)
        self.meter.log(f"the language model reads {wanted.sum():,} of {len(rows):,} rows")
        surprise = measured["surprise"].to_numpy().copy()
        surprise[wanted] = self.meter.surprise(to_read(rows, wanted))
        measured = measured.with_columns(pl.Series("surprise", surprise))
        twice = wanted & self._undecided(measured, languages, ("ifd", "model_gain"))
        self.meter.log(f"and {twice.sum():,} of them again without the prompt")
        ifd, gain = (measured[name].to_numpy().copy() for name in ("ifd", "model_gain"))
        ifd[twice], gain[twice] = features.guidance(
            surprise[twice], self.meter.surprise(to_read(rows, twice), prompted=False)
        )
        columns = pl.Series("ifd", ifd), pl.Series("model_gain", gain)
        return measured.with_columns(*columns), wanted

    def _undecided(
        self, measured: pl.DataFrame, languages: pl.Series, names: Sequence[str]
    ) -> np.ndarray:
        """Mark rows that ordinary values of the named features can move across the threshold."""
        forms = [self.calibration.form(language) for language in languages]

        def reaches(side: int) -> np.ndarray:
            supposed = measured.with_columns(
                pl.col(name) + pl.Series([side * form.toward(name) for form in forms])
                for name in names
            )
            return self.judge(supposed, languages)[0] >= self.policy.threshold

        return reaches(1) != reaches(-1)

    def judge(self, measured: pl.DataFrame, languages: pl.Series) -> tuple[np.ndarray, np.ndarray]:
        """Compute scores (float64, 1 to 10) from measured features, and the contributions.

        Contributions are each feature's part of the log-odds: (rows, features).
        """
        names = list(features.FEATURES)
        matrix = measured.select(names).to_numpy()
        contributions = np.zeros_like(matrix)
        intercepts = np.zeros(len(matrix))
        for language in languages.unique():
            chosen = (languages == language).to_numpy()
            form = self.calibration.form(language)
            contributions[chosen] = form.contributions(matrix[chosen])
            intercepts[chosen] = form.intercept
        for name, weight in self.policy.weights.items():
            # The profile sets weights that mutants cannot fit: 1 costs nothing, 0 costs the weight.
            column = names.index(name)
            contributions[:, column] += weight * (matrix[:, column] - 1.0)
        column = names.index("artefacts")
        contributions[:, column] = -ARTEFACT_COST * (matrix[:, column] > 0)
        logits = contributions.sum(axis=1) + intercepts
        return LOWEST + (HIGHEST - LOWEST) / (1.0 + np.exp(-logits)), contributions

    def _reasons(
        self, measured: pl.DataFrame, scores: np.ndarray, contributions: np.ndarray
    ) -> tuple[list[str | None], pl.Series]:
        """Return detail and costliest feature of each row below the threshold, else null."""
        names = list(features.FEATURES)
        matrix = measured.select(names).to_numpy()
        details: list[str | None] = [None] * len(scores)
        costliest: list[str | None] = [None] * len(scores)
        for row in np.flatnonzero(scores < self.policy.threshold).tolist():
            by_name = dict(zip(names, contributions[row], strict=True))
            costs = _costs(by_name, matrix[row])
            details[row] = f"{scores[row]:.1f} by {', '.join(costs.values())}"
            costliest[row] = next(iter(costs), None)
        return details, pl.Series(costliest, dtype=pl.String)


#: Kind of drop of a row that cannot be scored.
NOT_SCORED = "not scored"


def unscored(reasons: Mapping[int, str]) -> pl.DataFrame:
    """Build `position` and SCORE_COLUMNS of rows that are not scored and not kept, by position."""
    table = pl.DataFrame(
        {"position": list(reasons), "drop_detail": list(reasons.values())},
        schema={"position": pl.Int64, "drop_detail": pl.String},
    )
    return table.select(
        "position",
        *(
            pl.lit(None, dtype).alias(name)
            for name, dtype in SCORE_COLUMNS.items()
            if name not in ("kept", "drop_kind", "drop_detail", "drop_reason")
        ),
        pl.lit(False).alias("kept"),
        pl.lit(NOT_SCORED).alias("drop_kind"),
        "drop_detail",
        reason_text(pl.lit(NOT_SCORED), pl.col("drop_detail")).alias("drop_reason"),
    ).select("position", *SCORE_COLUMNS)


def _costs(contributions: Mapping[str, float], values: np.ndarray) -> dict[str, str]:
    """Return the features that lowered a score most, the costliest first, each with its value."""
    by_name = dict(zip(contributions, values, strict=True))
    worst = sorted(contributions, key=lambda name: contributions[name])[:REASONS]
    return {name: f"{name} {by_name[name]:.2f}" for name in worst if contributions[name] < 0}
