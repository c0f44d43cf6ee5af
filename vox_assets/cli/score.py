"""The command `score`: a table with a score for each row."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from vox_assets.cli.command import Commands, log
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
from vox_assets.curate.forms import repeats
from vox_assets.curate.tables import write_with
from vox_assets.extras import command, installed
from vox_assets.settings import load_settings

#: Why prose in another script is not scored.
BEYOND = "the features of prose read the Latin script only"


def add(commands: Commands) -> None:
    """Add the command."""
    score = commands.add(
        "score",
        _score,
        "score the rows of a table of prompts and answers with lane and language",
        examples=["score rows.jsonl scored.jsonl", "score rows.parquet scored.parquet"],
        codes={0: "OUT is written", 1: "IN cannot be read or OUT cannot be written"},
    )
    score.add_argument("source", type=Path, metavar="IN", help=IN_HELP)
    score.add_argument("out", type=Path, metavar="OUT", help=OUT_HELP)


def _score(options: argparse.Namespace) -> int:
    from vox_assets.curate.copies import beyond_latin
    from vox_assets.curate.scoring import (
        CODE_FALLBACK,
        SCORE_COLUMNS,
        Calibration,
        LocalEvaluator,
        unscored,
    )
    from vox_assets.curate.secrets import HOLDS, refuse_secrets
    from vox_assets.pipeline.resources.model_set import Models

    check_out(options.out)
    settings = load_settings()
    table, reading = read(options.source, ["lane", "language"])
    repeated = repeats(table, reading)
    rows = reading.rows.filter(~pl.col("position").is_in(repeated))
    beyond = [
        position
        for position, answer, mode in rows.select("position", "response", "response_mode").rows()
        if mode == "prose_only" and beyond_latin(answer)
    ]
    passed_over = {**reading.passed_over, **dict.fromkeys(beyond, BEYOND)}
    rows = rows.filter(~pl.col("position").is_in(beyond))
    calibration = Calibration.load()
    for language in sorted(set(rows["language"]) - set(calibration.forms)):
        log(f"{language}: no fitted weights: scored with the weights of {CODE_FALLBACK}")
    meter = Models(settings).meter(log, with_models=installed("models"))
    evaluator = LocalEvaluator(meter, calibration, settings.profile.scoring)
    scored = refuse_secrets(evaluator.score(rows))
    results = pl.concat([scored.select("position", *SCORE_COLUMNS), unscored(passed_over)]).sort(
        "position"
    )
    positions = results["position"].to_list()
    added: dict[str, list[Any]] = {
        "pair_id": [reading.ids[position] for position in positions],
        **{name: results[name].to_list() for name in SCORE_COLUMNS},
    }
    with written(options.out) as out:
        write_with(table, positions, added, out)
    if repeated:
        log(f"{len(repeated):,} rows repeat an earlier row and were left out")
    if passed_over:
        counts = ", ".join(f"{why} ({n:,})" for why, n in Counter(passed_over.values()).items())
        log(f"{len(passed_over):,} rows were not scored and are not kept: {counts}")
    if meter.unmeasured:
        log(
            f"not measured without models, their means count: {', '.join(meter.unmeasured)}; "
            f"{command('models')} adds the models"
        )
    log_secrets(scored.filter(drop_kind=HOLDS)["drop_detail"].to_list())
    log_replaced(table, added)
    kept = int(scored["kept"].sum())
    print_result(
        options.out,
        f"{kept:,} of {len(positions):,} rows reach {evaluator.policy.threshold:g}",
    )
    return 0
