"""Selects training rows under the caps and the token budget, and computes sampling weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import polars as pl

from vox_assets.mix.schema import DropLog
from vox_assets.profiles import Mix as MixPolicy

#: Score points that a human row gains over a synthetic one: enough to decide between rows of
#: similar score, too few to lift a weak row above a good one.
HUMAN_BONUS = 0.5


#: Rounds of raking: shares that are compatible with each other then hold to four digits.
RAKING_ROUNDS = 50


def alternate_categories(rows: pl.DataFrame) -> pl.DataFrame:
    """Sort rows best first, alternating between categories, so that a cut keeps every category."""
    bonus = pl.when(pl.col("origin") == "human").then(HUMAN_BONUS).otherwise(0.0)
    return (
        rows.with_columns((pl.col("score") + bonus).alias("_merit"))
        .sort(["_merit", "pair_id"], descending=[True, False])
        .with_columns(pl.int_range(pl.len()).over("language", "category").alias("_turn"))
        .sort(["_turn", "_merit", "pair_id"], descending=[False, True, False])
        .drop("_merit", "_turn")
    )


#: Columns that a cap may limit. `category` is the crate of a Rust row. `_repository` exists only if
#: the profile names repositories, and is empty for templates.
_CAPPABLE = ("language", "task_family", "category", "_author", "_repository")


_PERSON, _MACHINE = "a person", "a machine"


def _with_author(rows: pl.DataFrame) -> pl.DataFrame:
    person = pl.when(pl.col("origin") == "human").then(pl.lit(_PERSON)).otherwise(pl.lit(_MACHINE))
    return rows.with_columns(person.alias("_author"))


def _capped_columns(rows: pl.DataFrame) -> list[str]:
    return [column for column in _CAPPABLE if column in rows.columns]


def _caps(rows: pl.DataFrame, policy: MixPolicy) -> dict[tuple[str, str], float]:
    """Return the largest allowed share of each present value, by (column, value).

    No selection can meet caps that sum to less than 1 over the present values, so those below an
    even share are then raised to it. The floor for human rows is a cap on all other rows, if there
    are human rows.
    """
    configured: dict[str, Callable[[str], float]] = {
        "language": lambda value: policy.language_caps.get(value, 1.0),
        "task_family": lambda value: policy.task_family_cap,
        "category": lambda value: policy.category_cap,
        "_author": lambda value: 1.0 - policy.human_share_floor if value == _MACHINE else 1.0,
        "_repository": lambda value: policy.repository_cap if value else 1.0,
    }
    caps: dict[tuple[str, str], float] = {}
    for column in _capped_columns(rows):
        shares = {value: configured[column](value) for value in rows[column].unique().to_list()}
        even = 0.0 if sum(shares.values()) >= 1 else 1 / max(1, len(shares))
        caps |= {(column, value): max(share, even) for value, share in shares.items()}
    return caps


def sampling_weights(train: pl.DataFrame, policy: MixPolicy) -> pl.Series:
    """Compute the `weight` of every training row, so that the caps also hold for drawn tokens.

    The caps limit rows, but long rows contribute more tokens. The weights are raked (iterative
    proportional fitting, Deming and Stephan 1940) until every capped value has at most its share of
    the expected tokens. A weight decides how early a row is drawn, not how often, so a run that
    ends within its first epoch has trained on the shares of the policy.
    """
    rows = _with_author(train)
    tokens = rows["tokens"].to_numpy().astype(float)
    weights = np.ones(len(rows))
    groups = [
        (np.asarray(rows[column] == value), cap)
        for (column, value), cap in sorted(_caps(rows, policy).items())
        if cap < 1
    ]
    for _ in range(RAKING_ROUNDS):
        for member, cap in groups:
            mass = weights * tokens
            inside = mass[member].sum()
            outside = mass.sum() - inside
            if inside > cap * (inside + outside) and outside > 0:
                weights[member] *= cap / (1 - cap) * outside / inside
    if len(weights):
        weights /= weights.mean()
    return pl.Series("weight", weights.round(4), dtype=pl.Float64)


def draw_order(weights: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Return the positions of all rows in the order of a weighted draw without replacement.

    Sorting by an exponential variate divided by the weight draws each next row with a probability
    proportional to its weight (Efraimidis and Spirakis 2006). Every epoch draws again and contains
    each row once.
    """
    variates = np.random.default_rng([seed, epoch]).exponential(size=len(weights))
    return np.argsort(variates / np.maximum(weights, 1e-9), kind="stable")


def select_training_rows(
    rows: pl.DataFrame, policy: MixPolicy, drop_log: DropLog | None
) -> pl.DataFrame:
    """Select rows under every cap and the token budget; record drops if there is a drop log.

    A cap is a share of the selected rows, and their number depends on the caps. The assumed total
    therefore shrinks until a selection has as many rows as was assumed.
    """
    ordered = _with_author(alternate_categories(rows))
    caps = _caps(ordered, policy)
    capped = _capped_columns(ordered)
    records = list(ordered.select("pair_id", "tokens", *capped).iter_rows())

    def select(total: int) -> tuple[list[str], dict[str, str]]:
        counts: Counter[tuple[str, str]] = Counter()
        selected, reasons = [], {}
        tokens_left = policy.token_budget
        budget_is_spent = False
        for pair_id, tokens, *values in records:
            cap_reason = None
            groups = list(zip(capped, values, strict=True))
            for column, value in groups:
                share = caps[column, value]
                if counts[column, value] >= max(1, int(share * total + 1e-9)):
                    name = column.removeprefix("_")
                    cap_reason = f"{name} {value!r} is at its cap of {share:.0%} of the rows"
                    if column == "_author":
                        cap_reason = f"at least {1 - share:.0%} of the rows must be human-written"
                    break
            budget_is_spent = budget_is_spent or (cap_reason is None and tokens > tokens_left)
            if cap_reason is None and not budget_is_spent:
                selected.append(pair_id)
                tokens_left -= tokens
                counts.update(groups)
            else:
                reasons[pair_id] = cap_reason or (
                    f"better rows use up the token budget of {policy.token_budget}"
                )
        return selected, reasons

    total = len(records)
    selected, reasons = select(total)
    while len(selected) < total:
        total = len(selected)
        selected, reasons = select(total)
    if drop_log is not None:
        for pair_id, reason in reasons.items():
            drop_log.drop(pair_id, reason)
    return ordered.filter(pl.col("pair_id").is_in(selected)).drop("_author")
