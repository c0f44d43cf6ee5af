"""The split by source: which rows are held out, and which of those early stopping may read."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import polars as pl

from vox_assets.contract.rows import hash_order
from vox_assets.mix.schema import EVAL
from vox_assets.profiles import Mix as MixPolicy
from vox_assets.profiles import Profile

#: Held-out rows that one source may give: rows of a file resemble one another, so a test learns
#: more from another source than from another row, and intervals count sources.
EVAL_ROWS_PER_SOURCE = 5


#: Share of a file's rows that another repository has too from which it counts as a copy of that
#: file: one shared accessor makes no copy, and a vendored file with some changes is one.
COPIED_SHARE = 0.5


#: One held-out source in this many is read by early stopping; the others judge the adapter.
WATCH_ONE_IN = 4


def watch_ids(mix_rows: pl.DataFrame) -> set[str]:
    """Return the held-out rows that early stopping may read; the others judge the adapter.

    Whole sources are chosen, by hash. Small sets give at least one source to either side where
    they have two.
    """
    held_out = mix_rows.filter(pl.col("split") == EVAL)
    sources = sorted(held_out["source_path"].unique().to_list(), key=partial(hash_order, "split"))
    watched = sources[: max(1, len(sources) // WATCH_ONE_IN)] if len(sources) > 1 else sources
    return set(held_out.filter(pl.col("source_path").is_in(watched))["pair_id"].to_list())


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


def components(
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


def hold_out(
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
        for left, right, _ in pairs
        if home[left] != home[right]
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
        for name in sorted(names, key=partial(hash_order, "split")):
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
