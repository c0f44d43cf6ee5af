"""The command `dedup`: a table without duplicates."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from vox_assets.cli.command import Commands, log
from vox_assets.cli.ids import UsageError
from vox_assets.cli.tables import (
    IN_HELP,
    OUT_HELP,
    check_out,
    log_replaced,
    log_secrets,
    print_result,
    read,
    written,
)
from vox_assets.curate.tables import write_table, write_with
from vox_assets.extras import command, installed
from vox_assets.settings import load_settings

if TYPE_CHECKING:
    import numpy as np

#: Conflicts that `dedup` shows; the table lists them all.
SHOWN_CONFLICTS = 10


def add(commands: Commands) -> None:
    """Add the command."""
    dedup = commands.add(
        "dedup",
        _dedup,
        "remove duplicates from a table of prompts and answers",
        examples=[
            "dedup rows.jsonl unique.jsonl",
            "dedup rows.csv unique.parquet --dropped duplicates.jsonl",
            "dedup rows.jsonl unique.jsonl --by answer",
        ],
        codes={0: "OUT is written", 1: "IN cannot be read or OUT cannot be written"},
    )
    dedup.add_argument("source", type=Path, metavar="IN", help=IN_HELP)
    dedup.add_argument("out", type=Path, metavar="OUT", help=OUT_HELP)
    dedup.add_argument(
        "--dropped",
        type=Path,
        metavar="FILE",
        help="write each removed row, the reason and the row that it duplicates",
    )
    dedup.add_argument(
        "--by",
        choices=("answer", "prompt", "both"),
        default="both",
        help="what duplicates have in common: the answer, the prompt, or both (the default, which "
        "keeps equal answers to different prompts)",
    )


def _dedup(options: argparse.Namespace) -> int:
    from vox_assets.curate.compared import answers, prompts
    from vox_assets.curate.dedup import deduplicate, evidence, secret_kinds
    from vox_assets.curate.embedding import embed, not_embedded
    from vox_assets.pipeline.resources.engine import engine
    from vox_assets.pipeline.resources.model_set import Models

    for path in filter(None, (options.out, options.dropped)):
        check_out(path)
    if options.dropped and options.dropped.resolve() == options.out.resolve():
        raise UsageError(f"{options.out}: OUT and --dropped are one file: expected two")
    settings = load_settings()
    models = Models(settings)
    table, reading = read(options.source)
    rows = reading.rows
    secrets = secret_kinds(rows)
    rows = rows.with_columns(pl.Series("holds_secret", map(bool, secrets), dtype=pl.Boolean))
    where = engine(settings)
    with_models = installed("models")

    def embedded(texts: list[str]) -> np.ndarray:
        if not with_models:
            return not_embedded(texts)
        return embed(texts, models.embedder, models.store, log, where)

    asked = None if options.by == "answer" else embedded(prompts(rows))
    result = deduplicate(
        rows, embedded(answers(rows)), settings.profile.dedup, where, options.by, asked
    )
    clusters = {
        position: (name, size)
        for position, name, size in result.survivors.select(
            "position", "cluster_id", "cluster_size"
        ).iter_rows()
    }
    # A row that cannot be compared is no duplicate.
    clusters |= {position: (reading.unique_ids[position], 1) for position in reading.passed_over}
    kept = sorted(clusters)
    opponents = dict([*((b, a) for a, b in reversed(result.conflicts)), *result.conflicts])
    added: dict[str, list[Any]] = {
        "pair_id": [reading.ids[position] for position in kept],
        "cluster_id": [clusters[position][0] for position in kept],
        "cluster_size": [clusters[position][1] for position in kept],
    }
    if opponents:
        added["conflicts_with"] = [opponents.get(reading.unique_ids[p]) for p in kept]
    with written(options.out) as out:
        write_with(table, kept, added, out)
    if options.dropped:
        with written(options.dropped) as out:
            write_table(evidence(rows, result.drops), out)
    losses = result.drops.group_by("kind").len().sort("kind").rows()
    log("; ".join(f"{kind}: {count:,}" for kind, count in losses) or "no duplicates")
    places = {name: table.place(number) for number, name in enumerate(reading.unique_ids)}
    for first, second in result.conflicts[:SHOWN_CONFLICTS]:
        log(f"conflict: {places[first]} and {places[second]} answer one prompt differently")
    if len(result.conflicts) > SHOWN_CONFLICTS:
        log(f"{len(result.conflicts):,} conflicts in all: see conflicts_with in {options.out}")
    if unread := result.compared_by_text:
        log(f"{unread:,} rows are compared by text alone: the model does not read their script")
    if reading.passed_over:
        log(f"{len(reading.passed_over):,} rows were not compared and stay: {reading.reasons}")
    if not with_models:
        log(
            f"compared by text: rows that say the same in other words are not found; "
            f"{command('models')} adds the model that finds them"
        )
    log_secrets([kinds for kinds in secrets if kinds])
    log_replaced(table, added)
    print_result(
        options.out, f"{len(kept):,} of {len(table):,} rows survive, compared by {options.by}"
    )
    return 0
