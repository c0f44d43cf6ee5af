"""Fits the weights of the score on mutants planted in half of a corpus.

A maintainer runs it when features change (`vox-assets calibrate`); a build never does. The result
is reviewed and committed as `calibration.json`, a versioned file of the package.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl

from vox_assets.curate import features, mutants
from vox_assets.curate.scoring import CLIP, HIGHEST, LOWEST, Form
from vox_assets.profiles import Scoring

#: +1 where a higher value indicates a real row, -1 a mutant; 0 where the weight is a rule.
DIRECTION = {
    "prompt_length": 1,
    "prompt_specifics": 1,
    "standing_alone": 1,
    "answer_named": 1,
    "prompt_named": 1,
    "substance": 1,
    "repetition": -1,
    "information": 1,
    "boilerplate_share": -1,
    "stub_share": -1,
    "unknown_words": -1,
    "lone_names": -1,
    "parses": 1,
    "complete": 1,
    "alignment": 1,
    "closer_answers": -1,
    "neighbour_distance": 0,
    "freshness": 0,
    "surprise": -1,
    "ifd": -1,
    "model_gain": 1,
    "artefacts": 0,
}
assert list(DIRECTION) == list(features.FEATURES)

SEED = 11
# Largest number of rows of a language to fit on: more rows do not change the weights.
ROWS_PER_LANGUAGE = 240
MUTANTS_PER_KIND = 60
# A language with fewer rows is not fitted: the weights would follow single rows.
LEAST_ROWS = 60
# Ridge on the standardised weights: a single feature often separates a kind of mutant completely.
RIDGE = 0.005


def fit(matrix: np.ndarray, real: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
    """Fit a sign-constrained ridge logistic regression.

    `matrix` is (rows, features), `real` boolean, `weights` the weight of each row. Returns the
    fields of a `Form`.
    """
    from scipy.optimize import minimize

    center = np.average(matrix, axis=0, weights=weights)
    scale = np.sqrt(np.average((matrix - center) ** 2, axis=0, weights=weights))
    scale = np.maximum(scale, 0.05)
    standard = np.clip((matrix - center) / scale, -CLIP, CLIP)
    signs = np.where(real, 1.0, -1.0)
    shares = weights / weights.sum()

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        intercept, slopes = parameters[0], parameters[1:]
        margins = signs * (standard @ slopes + intercept)
        value = float(shares @ np.logaddexp(0.0, -margins) + RIDGE * slopes @ slopes)
        gradient = -shares * signs / (1.0 + np.exp(margins))
        return value, np.concatenate(([gradient.sum()], standard.T @ gradient + 2 * RIDGE * slopes))

    directions = np.array(list(DIRECTION.values()))
    bounds = [(None, None)] + [
        (0.0, None if d > 0 else 0.0) if d >= 0 else (None, 0.0) for d in directions
    ]
    solution = minimize(loss, np.zeros(len(bounds)), jac=True, method="L-BFGS-B", bounds=bounds)
    names = list(features.FEATURES)
    return {
        "intercept": round(float(solution.x[0]), 6),
        "center": {n: round(float(v), 6) for n, v in zip(names, center, strict=True)},
        "scale": {n: round(float(v), 6) for n, v in zip(names, scale, strict=True)},
        "weight": {n: round(float(v), 6) for n, v in zip(names, solution.x[1:], strict=True)},
    }


#: Share of real rows without artefacts that the threshold may drop. Mutants are equally frequent
#: in the fit, but rare in a corpus: without this limit the score would drop a third of the prose,
#: most of it good.
DROPPED_SHARE = 0.002


def fit_forms(
    rows: pl.DataFrame,
    measure: Callable[[pl.DataFrame], np.ndarray],
    measure_cheaply: Callable[[pl.DataFrame], pl.DataFrame],
    policy: Scoring,
) -> dict[str, dict[str, Any]]:
    """Fit one form per language of `rows`.

    `measure(rows)` returns the matrix of all features, `measure_cheaply(rows)` a table of those
    that need no language model. Rows with artefacts are not fitted: a rule drops them. The
    intercept is raised until at most DROPPED_SHARE of all real rows in the half for fitting are
    below the threshold of `policy`; a few hundred rows would not show so low a share.

    Where templates wrote most rows of a language, half of the fitted rows are human-written:
    their score must not depend on how closely they resemble a template.
    """
    forms = {}
    for language in sorted(rows["language"].unique()):
        group = rows.filter(
            (pl.col("language") == language)
            & pl.col("pair_id").map_elements(mutants.in_fit, return_dtype=pl.Boolean)
        ).sort("pair_id")
        if len(group) < LEAST_ROWS:
            continue
        everything, group = group, _sample(group)
        # A mutant has another prompt or response, which only rows with one question can show.
        single = group
        if "messages" in group.columns:
            single = group.filter(pl.col("messages").list.len() == 2).drop("messages")
        spoilt = mutants.plant(single, MUTANTS_PER_KIND, SEED)
        matrix = np.vstack([measure(group), measure(spoilt.drop("mutant"))])
        real = np.arange(len(matrix)) < len(group)
        # Real rows weigh as much as all mutants together, and all kinds of mutant weigh the same.
        sizes = spoilt["mutant"].value_counts()
        per_kind = dict(zip(sizes["mutant"], sizes["count"], strict=True))
        weight = np.concatenate(
            [
                np.full(len(group), 1.0 / len(group)),
                [1.0 / (len(per_kind) * per_kind[kind]) for kind in spoilt["mutant"]],
            ]
        )
        clean = matrix[:, list(features.FEATURES).index("artefacts")] == 0
        if (clean & real).sum() < LEAST_ROWS / 2 or not (clean & ~real).any():
            continue
        form = fit(matrix[clean], real[clean], weight[clean])
        form["intercept"] += missing_intercept(form, measure_cheaply(everything), policy)
        forms[language] = form
    return forms


def missing_intercept(form: Mapping[str, Any], real: pl.DataFrame, policy: Scoring) -> float:
    """Return what the intercept lacks to keep all but DROPPED_SHARE of the real rows.

    `real` has a column per feature; rows with artefacts do not count, and features of the language
    model that are missing have their mean, as in a build.
    """
    clean = real.filter(pl.col("artefacts") == 0)
    matrix = clean.with_columns(
        pl.lit(form["center"][name]).alias(name)
        for name in features.MODEL_FEATURES
        if name not in clean.columns
    ).select(*features.FEATURES)
    logits = Form(**form).contributions(matrix.to_numpy()).sum(axis=1) + form["intercept"]
    for name, weight in policy.weights.items():
        logits += weight * (matrix[name].to_numpy() - 1.0)
    share = (policy.threshold - LOWEST) / (HIGHEST - LOWEST)
    wanted = math.log(share / (1 - share))
    return round(max(0.0, wanted - float(np.quantile(logits, DROPPED_SHARE))), 6)


def _sample(group: pl.DataFrame) -> pl.DataFrame:
    """Sample up to `ROWS_PER_LANGUAGE` rows, half of them human where templates wrote the most."""
    by_people = group.filter(pl.col("origin") == "human")
    if 2 * len(by_people) >= len(group):
        return group.sample(min(ROWS_PER_LANGUAGE, len(group)), seed=SEED).sort("pair_id")
    others = group.filter(pl.col("origin") != "human")
    people = min(len(by_people), ROWS_PER_LANGUAGE // 2)
    rest = min(len(others), ROWS_PER_LANGUAGE - people)
    chosen = [by_people.sample(people, seed=SEED), others.sample(rest, seed=SEED)]
    return pl.concat(chosen).sort("pair_id")
