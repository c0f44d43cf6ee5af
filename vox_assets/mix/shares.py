"""Selection of training rows: caps, shares of human and synthetic rows, sampling weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import polars as pl

from vox_assets.mix.schema import DropLog
from vox_assets.profiles import Mix as MixPolicy

#: Score points by which a human row passes a synthetic one: it decides between rows judged alike
#: and never lifts a weak row over a good one.
HUMAN_BONUS = 0.5


#: Rounds of raking: shares that can be met together are met to four digits by then.
RAKING_ROUNDS = 50


def by_turns(rows: pl.DataFrame) -> pl.DataFrame:
    """Best first, one category after another, so that a cut keeps breadth before depth."""
    bonus = pl.when(pl.col("origin") == "human").then(HUMAN_BONUS).otherwise(0.0)
    return (
        rows.with_columns((pl.col("score") + bonus).alias("_merit"))
        .sort(["_merit", "pair_id"], descending=[True, False])
        .with_columns(pl.int_range(pl.len()).over("language", "category").alias("_turn"))
        .sort(["_turn", "_merit", "pair_id"], descending=[False, True, False])
        .drop("_merit", "_turn")
    )


#: What a cap may be set for. `category` is a Rust row's crate; rows have `_repository` only where
#: the profile names some, and templates are in none.
_CAPPED = ("language", "task_family", "category", "_author", "_repository")


_PERSON, _MACHINE = "a person", "a machine"


def _with_author(rows: pl.DataFrame) -> pl.DataFrame:
    person = pl.when(pl.col("origin") == "human").then(pl.lit(_PERSON)).otherwise(pl.lit(_MACHINE))
    return rows.with_columns(person.alias("_author"))


def _capped(rows: pl.DataFrame) -> list[str]:
    return [column for column in _CAPPED if column in rows.columns]


def _caps(rows: pl.DataFrame, policy: MixPolicy) -> dict[tuple[str, str], float]:
    """The largest share of each value at hand, by column and value; `rows` have `_author`.

    A cap below an even share of the values at hand cannot be met by anyone, so an even share stands
    in for it. The floor for human rows is a cap on all others, where there are human rows at all.
    """
    wanted: dict[str, Callable[[str], float]] = {
        "language": lambda value: policy.language_caps.get(value, 1.0),
        "task_family": lambda value: policy.task_family_cap,
        "category": lambda value: policy.category_cap,
        "_author": lambda value: 1.0 - policy.human_share_floor if value == _MACHINE else 1.0,
        "_repository": lambda value: policy.repository_cap if value else 1.0,
    }
    caps: dict[tuple[str, str], float] = {}
    for column in _capped(rows):
        values = rows[column].unique().to_list()
        # Where people wrote some rows their floor can be met, however high it is.
        even = 1 / max(1, len(values)) if column != "_author" or len(values) < 2 else 0.0
        caps |= {(column, value): max(wanted[column](value), even) for value in values}
    return caps


def sampling_weights(train: pl.DataFrame, policy: MixPolicy) -> pl.Series:
    """`weight` of every training row: with it the caps hold for the tokens that are drawn, too.

    Caps choose rows, and long rows still take more than their share of what is learned. Weights are
    raked (iterative proportional fitting, Deming and Stephan 1940) until every capped value has at
    most its share of the expected tokens. A weight says how early a row is drawn, never how often:
    a run that ends within its first pass has learned the shares that the policy asks for.
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
    """Positions of all rows in the order of a weighted draw without replacement.

    Efraimidis and Spirakis (2006): sorted by an exponential variate over the weight, each next row
    is drawn with odds in proportion to its weight. Every epoch draws anew and shows each row once.
    """
    variates = np.random.default_rng([seed, epoch]).exponential(size=len(weights))
    return np.argsort(variates / np.maximum(weights, 1e-9), kind="stable")


def take_train(rows: pl.DataFrame, policy: MixPolicy, ledger: DropLog | None) -> pl.DataFrame:
    """Rows under every cap and the token budget; without a ledger, a rehearsal.

    A cap is a share of the rows taken, which the caps themselves decide: the total shrinks until
    what is taken under its caps is that total.
    """
    ordered = _with_author(by_turns(rows))
    caps = _caps(ordered, policy)
    capped = _capped(ordered)
    records = list(ordered.select("pair_id", "tokens", *capped).iter_rows())

    def take(total: int) -> tuple[list[str], dict[str, str]]:
        counts: Counter[tuple[str, str]] = Counter()
        taken, reasons = [], {}
        left = policy.token_budget
        spent = False
        for pair_id, tokens, *values in records:
            full = None
            places = list(zip(capped, values, strict=True))
            for column, value in places:
                share = caps[column, value]
                if counts[column, value] >= max(1, int(share * total + 1e-9)):
                    what = column.removeprefix("_")
                    full = f"{what} {value!r} is at its cap of {share:.0%} of the rows"
                    if column == "_author":
                        full = f"people are to have written {1 - share:.0%} of the rows"
                    break
            spent = spent or (full is None and tokens > left)
            if full is None and not spent:
                taken.append(pair_id)
                left -= tokens
                counts.update(places)
            else:
                reasons[pair_id] = full or (
                    f"the token budget of {policy.token_budget} is spent on better rows"
                )
        return taken, reasons

    total = len(records)
    taken, reasons = take(total)
    while len(taken) < total:
        total = len(taken)
        taken, reasons = take(total)
    if ledger is not None:
        for pair_id, reason in reasons.items():
            ledger.drop(pair_id, reason)
    return ordered.filter(pl.col("pair_id").is_in(taken)).drop("_author")
