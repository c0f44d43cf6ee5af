"""Which rows are trained and which are held out, and the predicates that prove the choice.

Lane policy, minimum size, the split by source, caps, weights and the token budget belong here. How
rows are judged (curate) and how they are tokenised for a model (preflight) do not.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from vox_assets.contract.rows import SCHEMA, Drop, Message, each_dialogue, embedding_matrix
from vox_assets.profiles import Dedup, Profile
from vox_assets.profiles import Mix as MixPolicy

STAGE = "training_mix"
TRAIN, EVAL = "train", "eval"

#: Columns of the mix: a corpus row, its answer's embedding (by which the split is checked for
#: rows of one meaning), its score, its side of the split, its chat-template tokens, and its
#: sampling weight: the odds of being drawn early, 1 on average over the training rows.
MIX_SCHEMA: dict[str, pl.DataType] = {
    **SCHEMA,
    "embedding": pl.List(pl.Float32()),
    "score": pl.Float64(),
    "split": pl.String(),
    "tokens": pl.Int64(),
    "weight": pl.Float64(),
}

#: Distinct rows that a lane needs, by tier: LIMA-sized sets teach a style, rules take more.
SIZE_FLOORS: dict[str, int] = {"style": 400, "domain": 1000}
#: Below this any adapter memorises its rows, whatever the tier.
CERTAIN_OVERFITTING_BELOW = 120

#: Token-shingle Jaccard from which a held-out row counts as seen in training. Stricter than the
#: corpus' own dedup (0.8): leakage flatters a metric long before it wastes a training row.
LEAK_JACCARD = 0.7
#: Code shorter than this (in lexical tokens) has too few shapes for an equal one to prove copying.
MIN_SHAPE_TOKENS = 30
#: Score points by which a human row passes a synthetic one: it decides between rows judged alike
#: and never lifts a weak row over a good one.
HUMAN_BONUS = 0.5
#: Held-out rows that one source may give: rows of a file resemble one another, so a test learns
#: more from another source than from another row, and intervals count sources.
EVAL_ROWS_PER_SOURCE = 5
#: Share of a file's rows that another repository has too from which it counts as a copy of that
#: file: one shared accessor makes no copy, and a vendored file with some changes is one.
COPIED_SHARE = 0.5
#: Rounds of raking: shares that can be met together are met to four digits by then.
RAKING_ROUNDS = 50
#: One held-out source in this many tells training when to stop; the others judge the adapter.
WATCH_ONE_IN = 4

CountTokens = Callable[[list[Message]], int]
#: (rows, Jaccard threshold) -> (pair id, pair id, Jaccard) of every pair at or above it.
SimilarPairs = Callable[[pl.DataFrame, float], list[tuple[str, str, float]]]

_LEXEME = re.compile(r"[A-Za-z_]\w*|\d[\w.]*|\"(?:\\.|[^\"\\\n])*\"|\S")


# Minimum size -------------------------------------------------------------------------------


@dataclass(frozen=True)
class SizeVerdict:
    """Whether every trained lane has the rows its tier asks for; `reason` names those short."""

    passed: bool
    reason: str
    rows_by_lane: dict[str, int]
    floor: int
    tier: str


def rows_by_lane(rows: pl.DataFrame) -> dict[str, int]:
    """Distinct rows per lane; a column `kept` or `split` narrows to the rows that train."""
    if "kept" in rows.columns:
        rows = rows.filter(pl.col("kept"))
    if "split" in rows.columns:
        rows = rows.filter(pl.col("split") == TRAIN)
    counts = rows.group_by("lane").agg(pl.col("pair_id").n_unique().alias("rows")).sort("lane")
    return dict(zip(counts["lane"].to_list(), counts["rows"].to_list(), strict=True))


def size_verdict(counts: Mapping[str, int], lanes: Sequence[str], tier: str) -> SizeVerdict:
    """Judge the rows per lane against the tier: 400 for `style`, 1,000 for `domain`, never < 120.

    A lane that is to be trained and has no row counts as zero rows.
    """
    floor = SIZE_FLOORS[tier]
    found = {lane: counts.get(lane, 0) for lane in lanes}
    short = {lane: rows for lane, rows in found.items() if rows < floor}
    if not short:
        listed = ", ".join(f"{lane} has {rows} rows" for lane, rows in found.items())
        return SizeVerdict(True, f"{listed}; tier {tier!r} asks for {floor}", found, floor, tier)
    parts = []
    for lane, rows in short.items():
        if rows < CERTAIN_OVERFITTING_BELOW:
            why = f"below {CERTAIN_OVERFITTING_BELOW} rows overfitting is certain"
        elif tier == "domain" and rows >= SIZE_FLOORS["style"]:
            why = "enough for tier 'style' alone"
        else:
            why = "too few even for a style"
        parts.append(
            f"lane {lane} has {rows} distinct rows and tier {tier!r} asks for {floor} ({why}): "
            f"{floor - rows} more are needed, from more source files, raised synthesis counts, "
            f"wider caps or a larger token budget"
        )
    return SizeVerdict(False, "minimum_size: " + "; ".join(parts), found, floor, tier)


# The mix ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mix:
    """`rows` has MIX_SCHEMA, training rows first; `drops` accounts for every other kept row."""

    rows: pl.DataFrame
    drops: list[Drop]

    @property
    def train(self) -> pl.DataFrame:
        return self.rows.filter(pl.col("split") == TRAIN)

    @property
    def eval(self) -> pl.DataFrame:
        return self.rows.filter(pl.col("split") == EVAL)


def build_mix(
    scored: pl.DataFrame,
    profile: Profile,
    count_tokens: CountTokens,
    similar_pairs: SimilarPairs,
    lanes: Sequence[str] | None = None,
    copies: Sequence[tuple[str, str]] = (),
) -> Mix:
    """Choose the rows to train and to hold out from a scored corpus (rows with `kept`).

    The split comes first and follows sources: rows that share a source file, a parent or a
    duplicate cluster stay on one side, and so do the files that a pair of `copies` names. Then
    training rows are taken best first, in turn from every category, under the caps and the token
    budget; held-out rows that training has seen in another form are dropped. `lanes` replaces the
    profile's lanes for this run. Kept rows in = rows out + drops, and no row appears twice. Raises
    ValueError when a pair id does.
    """
    policy = profile.mix
    wanted = tuple(lanes or policy.lanes)
    rows = scored.filter(pl.col("kept"))
    if rows["pair_id"].is_duplicated().any():
        raise ValueError("training_mix: the scored corpus holds a pair id twice")
    ledger = _Ledger(rows)

    in_lane = rows["lane"].is_in(list(wanted))
    for row in rows.filter(~in_lane).select("pair_id", "lane").iter_rows(named=True):
        ledger.drop(row["pair_id"], f"lane {row['lane']} is not trained: {', '.join(wanted)} is")
    rows = rows.filter(in_lane).sort("pair_id")
    rows = rows.with_columns(
        pl.Series("tokens", [count_tokens(m) for m in each_dialogue(rows)], dtype=pl.Int64)
    )
    for pair_id in rows.filter(pl.col("tokens") > policy.context)["pair_id"].to_list():
        ledger.drop(pair_id, f"longer than the context of {policy.context} tokens")
    rows = rows.filter(pl.col("tokens") <= policy.context)

    if profile.repositories:
        names = [profile.locate(path)[0] for path in rows["source_path"]]
        rows = rows.with_columns(pl.Series("_repository", names, dtype=pl.String))

    pairs = similar_pairs(rows, min(LEAK_JACCARD, profile.dedup.semantic_code_jaccard))
    # What training would take from all rows tells how the held-out ones should be mixed.
    planned = Counter(_take_train(rows, policy, None)["language"].to_list())
    held_out = _hold_out(rows, _components(rows, scored, copies), pairs, planned, policy)
    is_held_out = pl.col("pair_id").is_in(list(held_out))
    train = _take_train(rows.filter(~is_held_out), policy, ledger)
    eval_rows = _take_eval(rows.filter(is_held_out), train, pairs, profile, ledger)

    out = pl.concat(
        [
            train.with_columns(pl.lit(TRAIN).alias("split"), sampling_weights(train, policy)),
            eval_rows.with_columns(
                pl.lit(EVAL).alias("split"), pl.lit(1.0, dtype=pl.Float64).alias("weight")
            ),
        ]
    ).select([pl.col(name).cast(dtype) for name, dtype in MIX_SCHEMA.items()])
    return Mix(out, ledger.drops)


def watch_ids(mix_rows: pl.DataFrame) -> set[str]:
    """Held-out rows that early stopping may look at; the rest judge the adapter unseen.

    Whole sources are chosen, by hash. Small sets give at least one source to either side where
    they have two.
    """
    held_out = mix_rows.filter(pl.col("split") == EVAL)
    sources = sorted(held_out["source_path"].unique().to_list(), key=_hash_order)
    watched = sources[: max(1, len(sources) // WATCH_ONE_IN)] if len(sources) > 1 else sources
    return set(held_out.filter(pl.col("source_path").is_in(watched))["pair_id"].to_list())


class _Ledger:
    """Collects drops and fills in where each row came from."""

    def __init__(self, rows: pl.DataFrame) -> None:
        columns = rows.select("pair_id", "source_path", "source_start_line", "source_symbol")
        self._origin = {row[0]: row[1:] for row in columns.iter_rows()}
        self.drops: list[Drop] = []

    def drop(
        self, pair_id: str, reason: str, lost_to: str | None = None, similarity: float | None = None
    ) -> None:
        path, line, symbol = self._origin[pair_id]
        self.drops.append(Drop(STAGE, reason, path, line, symbol, pair_id, lost_to, similarity))


# The split ----------------------------------------------------------------------------------


def copied_files(
    scored: pl.DataFrame, drops: pl.DataFrame, profile: Profile
) -> list[tuple[str, str]]:
    """Files of one repository that are copies of a file of another, as pairs of source paths.

    `drops` are what extraction and dedup lost to other rows. A file is a copy when the rows that it
    lost to one file of another repository are at least COPIED_SHARE of all that it gave: what was
    changed in a vendored file then stays on the side of the original.
    """
    lost = drops.drop_nulls("lost_to")
    path_of = dict(lost.drop_nulls("pair_id").select("pair_id", "source_path").iter_rows())
    path_of |= dict(scored.select("pair_id", "source_path").iter_rows())
    live = scored.filter(pl.col("source_kind") != "synthetic")
    gave = Counter([*live["source_path"], *lost["source_path"]])
    lost_to = Counter(
        (path, path_of[winner])
        for path, winner in lost.select("source_path", "lost_to").iter_rows()
        if winner in path_of
    )
    return sorted(
        (path, other)
        for (path, other), count in lost_to.items()
        if count >= COPIED_SHARE * gave[path]
        and profile.locate(path)[0] != profile.locate(other)[0]
    )


def _components(
    rows: pl.DataFrame, scored: pl.DataFrame, copies: Sequence[tuple[str, str]]
) -> dict[str, list[str]]:
    """Pair ids that may not be separated, by the name of their component.

    Rows are joined by source file, copies of it, duplicate cluster and parents. A parent outside
    the mix (another lane, dropped) still joins its children, and its file where the corpus knows
    it. The name is the component's first source path: edits of a file leave it, and so the split,
    as they were.
    """
    joined: dict[Hashable, Hashable] = {}

    def root(node: Hashable) -> Hashable:
        joined.setdefault(node, node)
        while joined[node] != node:
            joined[node] = joined[joined[node]]
            node = joined[node]
        return node

    for path, other in copies:
        joined[root(("file", path))] = root(("file", other))
    path_of = dict(scored.select("pair_id", "source_path").iter_rows())
    columns = ["pair_id", "source_path", "parents"]
    clusters: Iterable[Any] = [None] * len(rows)
    if "cluster_id" in rows.columns:
        clusters = rows["cluster_id"].to_list()
    for (pair_id, path, parents), cluster in zip(
        rows.select(columns).iter_rows(), clusters, strict=True
    ):
        nodes: list[Hashable] = [("file", path)]
        nodes += [("row", parent) for parent in parents or ()]
        nodes += [("file", path_of[parent]) for parent in parents or () if parent in path_of]
        nodes += [("cluster", cluster)] if cluster is not None else []
        for node in nodes:
            joined[root(node)] = root(("row", pair_id))

    members: dict[Hashable, list[tuple[str, str]]] = defaultdict(list)
    for pair_id, path in rows.select("pair_id", "source_path").iter_rows():
        members[root(("row", pair_id))].append((path, pair_id))
    return {min(group)[0]: [pair_id for _, pair_id in sorted(group)] for group in members.values()}


def _hold_out(
    rows: pl.DataFrame,
    components: Mapping[str, list[str]],
    pairs: Sequence[tuple[str, str, float]],
    planned: Mapping[str, int],
    policy: MixPolicy,
) -> set[str]:
    """Pair ids of the components to hold out: hash order, languages as in `planned`.

    A component that is large beside what its language needs stays in training: one template file
    or one chain of parents must not become the whole test, nor leave training without it.
    """
    language = dict(rows.select("pair_id", "language").iter_rows())
    source = dict(rows.select("pair_id", "source_path").iter_rows())
    home = {pair_id: name for name, ids in components.items() for pair_id in ids}
    # A row with a near-duplicate in another component is likely to be dropped from the test.
    shadowed = {
        pair_id
        for left, right, jaccard in pairs
        if jaccard >= LEAK_JACCARD and home[left] != home[right]
        for pair_id in (left, right)
    }
    strata: dict[str, list[str]] = defaultdict(list)
    for name, ids in components.items():
        counts = Counter(language[pair_id] for pair_id in ids)
        strata[max(counts, key=lambda value: (counts[value], value))].append(name)

    sizes = {value: sum(len(components[name]) for name in names) for value, names in strata.items()}
    target = min(policy.eval_rows, max(1, round(policy.eval_share * len(rows))))
    quotas = _apportion(target, {value: planned.get(value, 0) for value in sizes})
    chosen: set[str] = set()
    for value, names in sorted(strata.items()):
        missing = quotas[value]
        for name in sorted(names, key=_hash_order):
            ids = components[name]
            per_source = Counter(source[pair_id] for pair_id in ids if pair_id not in shadowed)
            clean = sum(min(count, EVAL_ROWS_PER_SOURCE) for count in per_source.values())
            small = len(ids) <= max(2 * missing, 1) and 2 * len(ids) <= max(sizes[value], 2)
            if missing > 0 and clean and small and len(names) > 1:
                chosen.update(ids)
                missing -= clean
    return chosen


def _apportion(total: int, sizes: Mapping[str, int]) -> dict[str, int]:
    """`total` seats in proportion to `sizes`, by largest remainders; ties go by name."""
    whole = sum(sizes.values())
    if not whole:
        return dict.fromkeys(sizes, 0)
    exact = {name: total * size / whole for name, size in sizes.items()}
    seats = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (seats[name] - exact[name], name))
    for name in by_remainder[: total - sum(seats.values())]:
        seats[name] += 1
    return seats


def _hash_order(name: str) -> str:
    return hashlib.sha256(f"split:{name}".encode()).hexdigest()


# Choosing rows ------------------------------------------------------------------------------


def _by_turns(rows: pl.DataFrame) -> pl.DataFrame:
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


def _take_train(rows: pl.DataFrame, policy: MixPolicy, ledger: _Ledger | None) -> pl.DataFrame:
    """Rows under every cap and the token budget; without a ledger, a rehearsal.

    A cap is a share of the rows taken, which the caps themselves decide: the total shrinks until
    what is taken under its caps is that total.
    """
    ordered = _with_author(_by_turns(rows))
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


def _take_eval(
    rows: pl.DataFrame,
    train: pl.DataFrame,
    pairs: Sequence[tuple[str, str, float]],
    profile: Profile,
    ledger: _Ledger,
) -> pl.DataFrame:
    """Held-out rows that no training row gives away, at most `eval_rows` of them."""
    seen = _seen_in_training(rows, train, pairs, profile.dedup)
    for pair_id, (reason, lost_to, similarity) in seen.items():
        ledger.drop(pair_id, reason, lost_to, similarity)
    ordered = _by_turns(rows.filter(~pl.col("pair_id").is_in(list(seen))))
    limit = profile.mix.eval_rows
    rank = pl.int_range(pl.len()).over("source_path")
    for pair_id in ordered.filter(rank >= EVAL_ROWS_PER_SOURCE)["pair_id"].to_list():
        ledger.drop(pair_id, f"{EVAL_ROWS_PER_SOURCE} rows of its held-out source are tested")
    ordered = ordered.filter(rank < EVAL_ROWS_PER_SOURCE)
    for pair_id in ordered["pair_id"][limit:].to_list():
        ledger.drop(pair_id, f"its source is held out and {limit} rows are tested already")
    return ordered.head(limit)


def _seen_in_training(
    held_out: pl.DataFrame,
    train: pl.DataFrame,
    pairs: Sequence[tuple[str, str, float]],
    dedup: Dedup,
) -> dict[str, tuple[str, str, float]]:
    """Held-out pair id -> (how training shows it, the training row, similarity)."""
    seen: dict[str, tuple[str, str, float]] = {}
    for digest, how in ((_text_digest, "word for word"), (_shape_digest, "under other names")):
        known = _by_digest(train, digest)
        for key, (pair_id, *_) in _by_digest(held_out, digest, every=True).items():
            match = known.get(key[0])
            if match is not None:
                seen.setdefault(pair_id, (f"a training row says it {how}", match[0], 1.0))
    trained = set(train["pair_id"].to_list())
    tested = set(held_out["pair_id"].to_list())
    lexical: dict[tuple[str, str], float] = {}
    for left, right, jaccard in pairs:
        for mine, other in ((left, right), (right, left)):
            if mine in tested and other in trained:
                lexical[mine, other] = jaccard
    for (mine, other), jaccard in sorted(lexical.items(), key=lambda item: (-item[1], item[0])):
        if jaccard >= LEAK_JACCARD:
            seen.setdefault(mine, ("a training row is nearly the same", other, jaccard))
    for mine, other, cosine in _same_meaning(held_out, train, lexical, dedup):
        seen.setdefault(mine, ("a training row means the same", other, cosine))
    return seen


def _same_meaning(
    held_out: pl.DataFrame,
    train: pl.DataFrame,
    lexical: Mapping[tuple[str, str], float],
    dedup: Dedup,
) -> list[tuple[str, str, float]]:
    """(held-out id, training id, cosine) of rows that embed alike, code with tokens that agree."""
    return [
        (mine, other, cosine)
        for mine, other, cosine, mode in _alike(held_out, train, dedup)
        if mode == "prose_only" or lexical.get((mine, other), 0.0) >= dedup.semantic_code_jaccard
    ]


def given_away(
    held_out: pl.DataFrame, candidates: pl.DataFrame, similar_pairs: SimilarPairs, dedup: Dedup
) -> set[str]:
    """Candidates for training that a held-out row can be known from, by text, shape or shingles."""
    both = pl.concat(
        [frame.select("pair_id", "response", "response_mode") for frame in (held_out, candidates)]
    )
    pairs = similar_pairs(both, LEAK_JACCARD)
    giving: set[str] = set()
    while True:
        left = candidates.filter(~pl.col("pair_id").is_in(list(giving)))
        found = {other for _, other, _ in _seen_in_training(held_out, left, pairs, dedup).values()}
        if not found:
            return giving
        giving |= found


def _by_digest(
    rows: pl.DataFrame, digest: Callable[[str], str | None], every: bool = False
) -> dict[Any, tuple[str, ...]]:
    """Rows by the digest of their answer; with `every`, keyed apart so that none is hidden."""
    found: dict[Any, tuple[str, ...]] = {}
    for pair_id, response in rows.select("pair_id", "response").iter_rows():
        key = digest(response)
        if key is not None:
            found[(key, pair_id) if every else key] = (pair_id,)
    return found


def _text_digest(response: str) -> str:
    return hashlib.sha256(" ".join(response.split()).encode("utf-8", "surrogatepass")).hexdigest()


def _shape_digest(response: str) -> str | None:
    """Digest of code with every word replaced by its order of appearance; None when it is short.

    Two programs with one shape differ by a consistent renaming and by literals: a type-2 clone.
    """
    lexemes = _LEXEME.findall(response)
    if len(lexemes) < MIN_SHAPE_TOKENS:
        return None
    order: dict[str, int] = {}
    shape = []
    for lexeme in lexemes:
        if lexeme[0].isdigit() or (lexeme[0] == '"' and len(lexeme) > 1):
            shape.append("=")
        elif lexeme[0].isalpha() or lexeme[0] == "_":
            shape.append(str(order.setdefault(lexeme, len(order))))
        else:
            shape.append(lexeme)
    return hashlib.sha256(" ".join(shape).encode("utf-8", "surrogatepass")).hexdigest()


def _alike(
    held_out: pl.DataFrame, train: pl.DataFrame, dedup: Dedup
) -> list[tuple[str, str, float, str]]:
    """(held-out id, its nearest training id, cosine, mode) at or above the mode's threshold."""
    columns = ["pair_id", "response_mode", "embedding"]
    if "embedding" not in held_out.columns or held_out.is_empty() or train.is_empty():
        return []
    mine = held_out.select(columns).drop_nulls("embedding")
    other = train.select("pair_id", "embedding").drop_nulls("embedding")
    if mine.is_empty() or other.is_empty():
        return []
    cosines = _unit(mine["embedding"]) @ _unit(other["embedding"]).T
    names = other["pair_id"].to_list()
    found = []
    for (pair_id, mode), scores in zip(
        mine.select("pair_id", "response_mode").iter_rows(), cosines, strict=True
    ):
        threshold = dedup.semantic_prose if mode == "prose_only" else dedup.semantic_code
        found += [
            (pair_id, names[index], float(scores[index]), mode)
            for index in np.flatnonzero(scores >= threshold)
        ]
    return sorted(found, key=lambda item: (item[0], -item[2], item[1]))


def _unit(embeddings: pl.Series) -> np.ndarray:
    matrix = embedding_matrix(embeddings)
    return matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)


# Predicates for checks ----------------------------------------------------------------------


def lane_policy_violations(
    mix_rows: pl.DataFrame, profile: Profile, lanes: Sequence[str] | None = None
) -> list[str]:
    """Rows that must not be trained under the lane policy, each as `pair id: why`."""
    wanted = set(lanes or profile.mix.lanes)
    found = []
    columns = ["pair_id", "lane", "response_mode", "language", "response"]
    for pair_id, lane, mode, language, response in mix_rows.select(columns).iter_rows():
        fenced = any(line.lstrip().startswith("```") for line in response.splitlines())
        if lane not in wanted:
            found.append(f"{pair_id}: lane {lane} is not trained")
        elif lane == "vox_codegen" and mode != "code_only":
            found.append(f"{pair_id}: {mode} answer in a code lane")
        elif mode == "code_only" and language != "markdown" and fenced:
            found.append(f"{pair_id}: a fence in an answer that is code alone")
    return found


def split_leakage(mix_rows: pl.DataFrame, similar_pairs: SimilarPairs, dedup: Dedup) -> list[str]:
    """Every way a held-out row is known to training, as `pair id: why`; empty when there is none.

    Looks at files, parents, equal text, equal shape, token-shingle Jaccard >= LEAK_JACCARD, and
    meaning by the thresholds of `dedup`.
    """
    train = mix_rows.filter(pl.col("split") == TRAIN)
    held_out = mix_rows.filter(pl.col("split") == EVAL)
    trained = set(train["pair_id"].to_list())
    train_files = set(train["source_path"].to_list())
    train_parents = {parent for parents in train["parents"].to_list() for parent in parents or ()}
    found = []
    for pair_id, path, parents in held_out.select("pair_id", "source_path", "parents").iter_rows():
        family = set(parents or ()) | {pair_id}
        if pair_id in trained:
            found.append(f"{pair_id}: is a training row")
        if path in train_files:
            found.append(f"{pair_id}: its file {path} is trained")
        if family & (trained | train_parents):
            found.append(f"{pair_id}: shares a parent with a training row")
    for digest, how in ((_text_digest, "word for word"), (_shape_digest, "under other names")):
        known = _by_digest(train, digest)
        found += [
            f"{key[1]}: training row {known[key[0]][0]} says it {how}"
            for key in _by_digest(held_out, digest, every=True)
            if key[0] in known
        ]
    side = dict(mix_rows.select("pair_id", "split").iter_rows())
    lexical: dict[tuple[str, str], float] = {}
    for left, right, jaccard in similar_pairs(
        mix_rows, min(LEAK_JACCARD, dedup.semantic_code_jaccard)
    ):
        if side[left] != side[right]:
            pair = (left, right) if side[left] == EVAL else (right, left)
            lexical[pair] = jaccard
            if jaccard >= LEAK_JACCARD:
                found.append(
                    f"{pair[0]}: training row {pair[1]} is nearly the same ({jaccard:.2f})"
                )
    found += [
        f"{mine}: training row {other} means the same ({cosine:.2f})"
        for mine, other, cosine in _same_meaning(held_out, train, lexical, dedup)
    ]
    return found


def over_context(mix_rows: pl.DataFrame, context: int) -> list[str]:
    """Rows longer than `context` tokens, as `pair id: tokens`."""
    long = mix_rows.filter(pl.col("tokens") > context).select("pair_id", "tokens")
    return [f"{pair_id}: {tokens} tokens" for pair_id, tokens in long.iter_rows()]


def human_share(mix_rows: pl.DataFrame) -> float:
    """Share of the training rows that a person wrote; 0 when there are none."""
    train = mix_rows.filter(pl.col("split") == TRAIN)
    return int((train["origin"] == "human").sum()) / len(train) if len(train) else 0.0
