"""Splits rows by source: chooses the held-out rows, and the watch rows among them.

The sources that the exam keeps from training are held out first: the template files that
`synthesize.vox.reserved` names, and a fixed share of the sources of live Vox programs.
"""

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
from vox_assets.synthesize.vox.reserved import is_exam_path

#: Largest number of held-out rows of one source. Rows of a file resemble each other, so a row of
#: another source adds more information, and confidence intervals resample sources.
EVAL_ROWS_PER_SOURCE = 5


#: A file is a copy if at least this share of its rows was lost to one file of another repository. A
#: single shared accessor stays below it, a vendored file with some changes reaches it.
COPIED_SHARE = 0.5


#: One source of live Vox programs in this many is kept for the exam.
LIVE_EXAM_ONE_IN = 4

#: One held-out source in this many gives the watch rows; the others judge the adapter.
WATCH_ONE_IN = 4


def watch_ids(mix_rows: pl.DataFrame) -> set[str]:
    """Return the held-out rows that early stopping may read; the others judge the adapter.

    Whole sources are chosen in hash order. If there are at least two sources, each side gets at
    least one.
    """
    held_out = mix_rows.filter(pl.col("split") == EVAL)
    sources = sorted(held_out["source_path"].unique().to_list(), key=partial(hash_order, "split"))
    watched = sources[: max(1, len(sources) // WATCH_ONE_IN)] if len(sources) > 1 else sources
    return set(held_out.filter(pl.col("source_path").is_in(watched))["pair_id"].to_list())


def copied_files(
    scored: pl.DataFrame, drops: pl.DataFrame, profile: Profile
) -> list[tuple[str, str]]:
    """Return pairs of source paths: a file and the file of another repository that it copies.

    `drops` are the drops of extraction and dedup. A file is a copy if at least COPIED_SHARE of its
    rows were lost to one file of another repository. The changed rows of a vendored file then stay
    on the side of the original.
    """
    lost = drops.drop_nulls("lost_to")
    path_of = dict(lost.drop_nulls("pair_id").select("pair_id", "source_path").iter_rows())
    path_of |= dict(scored.select("pair_id", "source_path").iter_rows())
    live = scored.filter(pl.col("source_kind") != "synthetic")
    rows_of_file = Counter([*live["source_path"], *lost["source_path"]])
    lost_between = Counter(
        (path, path_of[winner])
        for path, winner in lost.select("source_path", "lost_to").iter_rows()
        if winner in path_of
    )
    return sorted(
        (path, other)
        for (path, other), count in lost_between.items()
        if count >= COPIED_SHARE * rows_of_file[path]
        and profile.locate(path)[0] != profile.locate(other)[0]
    )


def components(
    rows: pl.DataFrame, scored: pl.DataFrame, copies: Sequence[tuple[str, str]]
) -> dict[str, list[str]]:
    """Return the connected components of rows: pair ids that stay on one side, by component name.

    Rows are connected by source file, by copies of it, by duplicate cluster and by parents. A
    parent outside the mix (in another lane, or dropped) still connects its children, and so does
    its file if the corpus contains it. A template file that is kept for the exam is connected with
    nothing: it would hold out each source that resembles it. The name is the component's first
    source path, so that an edit of a file changes neither the name nor the split.
    """
    parent_of: dict[Hashable, Hashable] = {}

    def root(node: Hashable) -> Hashable:
        parent_of.setdefault(node, node)
        while parent_of[node] != node:
            parent_of[node] = parent_of[parent_of[node]]
            node = parent_of[node]
        return node

    for path, other in copies:
        parent_of[root(("file", path))] = root(("file", other))
    path_of = dict(scored.select("pair_id", "source_path").iter_rows())
    columns = ["pair_id", "source_path", "parents"]
    clusters: Iterable[Any] = [None] * len(rows)
    if "cluster_id" in rows.columns:
        clusters = rows["cluster_id"].to_list()
    for (pair_id, path, parents), cluster in zip(
        rows.select(columns).iter_rows(), clusters, strict=True
    ):
        if is_exam_path(path):
            parent_of[root(("file", path))] = root(("row", pair_id))
            continue
        nodes: list[Hashable] = [("file", path)]
        nodes += [("row", parent) for parent in parents or ()]
        nodes += [("file", path_of[parent]) for parent in parents or () if parent in path_of]
        nodes += [("cluster", cluster)] if cluster is not None else []
        for node in nodes:
            parent_of[root(node)] = root(("row", pair_id))

    members: dict[Hashable, list[tuple[str, str]]] = defaultdict(list)
    for pair_id, path in rows.select("pair_id", "source_path").iter_rows():
        members[root(("row", pair_id))].append((path, pair_id))
    return {min(group)[0]: [pair_id for _, pair_id in sorted(group)] for group in members.values()}


def is_live_exam_source(name: str) -> bool:
    """Decide by the hash of its path whether a source of live Vox is kept for the exam.

    No other file takes part in the decision, so that an edit of one file moves no other file.
    """
    return int(hash_order("exam", name)[:8], 16) % LIVE_EXAM_ONE_IN == 0


def hold_out(
    rows: pl.DataFrame,
    components: Mapping[str, list[str]],
    pairs: Sequence[tuple[str, str, float]],
    planned: Mapping[str, int],
    policy: MixPolicy,
) -> set[str]:
    """Return the pair ids of the components to hold out, chosen in hash order.

    `planned` are the training rows per language; each language gets held-out rows in this
    proportion. A component that is large compared with the quota of its language stays in training:
    one template file or one chain of parents must not be the whole test, nor be missing in
    training. What is kept for the exam is held out first and counts towards the quota: all rows of
    exam templates, and live sources by `is_live_exam_source`, unless one has most rows of its
    language.
    """
    language = dict(rows.select("pair_id", "language").iter_rows())
    source = dict(rows.select("pair_id", "source_path").iter_rows())
    component_of = {pair_id: name for name, ids in components.items() for pair_id in ids}
    # If the other component is trained, a row with a near-duplicate in it is dropped from the test.
    at_risk = {
        pair_id
        for left, right, _ in pairs
        if component_of[left] != component_of[right]
        for pair_id in (left, right)
    }
    strata: dict[str, list[str]] = defaultdict(list)
    for name, ids in components.items():
        counts = Counter(language[pair_id] for pair_id in ids)
        strata[max(counts, key=lambda value: (counts[value], value))].append(name)

    sizes = {value: sum(len(components[name]) for name in names) for value, names in strata.items()}
    target = min(policy.eval_rows, max(1, round(policy.eval_share * len(rows))))
    quotas = _apportion(target, {value: planned.get(value, 0) for value in sizes})
    live_vox = set(
        rows.filter((pl.col("language") == "vox") & (pl.col("source_kind") != "synthetic"))[
            "pair_id"
        ]
    )
    chosen: set[str] = set()
    for value, names in sorted(strata.items()):
        missing = quotas[value]
        first: list[str] = []
        others: list[str] = []
        for name in sorted(names, key=partial(hash_order, "split")):
            kept = is_exam_path(name) or (
                is_live_exam_source(name) and not live_vox.isdisjoint(components[name])
            )
            (first if kept else others).append(name)
        for name in [*first, *others]:
            ids = components[name]
            per_source = Counter(source[pair_id] for pair_id in ids if pair_id not in at_risk)
            usable = sum(min(count, EVAL_ROWS_PER_SOURCE) for count in per_source.values())
            most = 2 * len(ids) > max(sizes[value], 2) or len(names) == 1
            fits = missing > 0 and usable and len(ids) <= max(2 * missing, 1)
            if is_exam_path(name) or (not most and (name in first or fits)):
                chosen.update(ids)
                missing -= usable
    return chosen


def _apportion(total: int, sizes: Mapping[str, int]) -> dict[str, int]:
    """Divide `total` in proportion to `sizes` by largest remainders; names decide ties."""
    whole = sum(sizes.values())
    if not whole:
        return dict.fromkeys(sizes, 0)
    exact = {name: total * size / whole for name, size in sizes.items()}
    quotas = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (quotas[name] - exact[name], name))
    for name in by_remainder[: total - sum(quotas.values())]:
        quotas[name] += 1
    return quotas
