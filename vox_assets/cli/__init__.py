"""The `vox-assets` command: runs single stages on tables in files, without Dagster.

Arguments, files and exit codes belong here; the work itself belongs to each stage's package.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import polars as pl

import vox_assets
from vox_assets.cli.adapters import list_adapters, promote_adapter, verify_adapter
from vox_assets.cli.ids import UsageError, full_id
from vox_assets.cli.operation import run_build, send_test_alert, show_caches
from vox_assets.cli.status import show_status
from vox_assets.compute.models import ModelError
from vox_assets.compute.ray_data import ClusterError
from vox_assets.contract.rows import CORPUS_TABLES
from vox_assets.curate.forms import Reading, read_rows, repeats
from vox_assets.curate.tables import (
    Table,
    TableError,
    check_ending,
    read_table,
    write_table,
    write_with,
)
from vox_assets.extract import SourceError
from vox_assets.settings import (
    Settings,
    SettingsError,
    find_compiler,
    load_settings,
    search_path,
)
from vox_assets.store.files import write_text
from vox_assets.store.lake import TableMissingError, TableUnreadableError

if TYPE_CHECKING:
    import numpy as np

    from vox_assets.pipeline.resources.model_set import Models

#: Conflicts that `dedup` shows; the table tells them all.
SHOWN_CONFLICTS = 10
DIGEST_HELP = "digest of the adapter, or its first characters where no other has them"
#: Why prose in another script is not scored.
BEYOND = "the features of prose read the Latin script only"


#: Errors shown as one line, without a traceback.
_ONE_LINE_ERRORS = (
    UsageError,
    TableError,
    SettingsError,
    TableMissingError,
    TableUnreadableError,
    ModelError,
    SourceError,
    ClusterError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 only when it succeeded."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except _ONE_LINE_ERRORS as error:
        print(f"vox-assets: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        # Folders that cannot be read or written; a fault of the network has no file name.
        if error.filename is None:
            raise
        print(
            f"vox-assets: {error.filename}: {error.strerror}: expected a place that can be read "
            f"and written (VOX_DATA_DIR names the folder of the caches and the adapters)",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("vox-assets: cancelled", file=sys.stderr)
        return 130


class _ShowVersion(argparse.Action):
    """Print the version and exit. Package metadata is read here, so that `--help` stays quick."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        print(f"vox-assets {vox_assets.__version__}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vox-assets",
        description="Run stages of the pipeline on files. OUT ends in .jsonl or .parquet; IN may "
        "also be a JSON array, CSV or TSV, compressed with gzip or not.",
    )
    parser.add_argument("--version", action=_ShowVersion, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], int], summary: str
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=summary, description=summary)
        sub.set_defaults(run=run)
        return sub

    extract = command(
        "extract", _extract, "make rows from the Rust code or the documentation below SOURCE"
    )
    extract.add_argument("kind", choices=("rust", "docs"))
    extract.add_argument("source", type=Path, metavar="SOURCE")
    extract.add_argument("out", type=Path, metavar="OUT")
    extract.add_argument(
        "--profile",
        metavar="NAME",
        help="name of a bundled profile, or path of a YAML file (the default is VOX_PROFILE, else "
        "sample for the bundled workspace and vox for every other SOURCE)",
    )

    check = command(
        "check-vox", _check_vox, "check Vox files with the compiler or the built-in grammar"
    )
    check.add_argument("files", nargs="+", type=Path, metavar="FILE")

    dedup = command("dedup", _dedup, "remove duplicates from a table of prompts and answers")
    dedup.add_argument("source", type=Path, metavar="IN")
    dedup.add_argument("out", type=Path, metavar="OUT")
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

    score = command(
        "score", _score, "score the rows of a table of prompts and answers with lane and language"
    )
    score.add_argument("source", type=Path, metavar="IN")
    score.add_argument("out", type=Path, metavar="OUT")

    explain = command("explain", _explain, "explain what happened to one row in the last build")
    explain.add_argument(
        "pair_id",
        metavar="PAIR_ID",
        help="id of the row, or its first digits where no other has them",
    )

    promote = command(
        "promote", promote_adapter, "make an adapter that passed its evaluation the current one"
    )
    promote.add_argument("digest", metavar="DIGEST", help=DIGEST_HELP)

    adapters = command(
        "adapters",
        list_adapters,
        "list the adapters that may be promoted, with their figures on held-out rows, and why the "
        "others may not",
    )
    adapters.add_argument(
        "--json", action="store_true", help="print one JSON array of all adapters"
    )

    status = command(
        "status",
        show_status,
        "show the settings in effect, the last builds, the promoted adapter and the caches",
    )
    status.add_argument("--json", action="store_true", help="print one JSON object")

    verify = command(
        "verify",
        verify_adapter,
        "check the files of an adapter and its training rows against their digests",
    )
    verify.add_argument("digest", metavar="DIGEST", help=DIGEST_HELP)

    cache = command("cache", show_caches, "show the size of the caches; with --prune, shrink them")
    cache.add_argument(
        "--prune",
        nargs="?",
        const="",
        metavar="SIZE",
        help="remove damaged files and outdated models, then the least recently used entries until "
        "each cache takes at most SIZE (such as 500MB; the default is VOX_CACHE_LIMIT)",
    )

    alert = command(
        "alert", send_test_alert, "send a test alert to every channel of VOX_ALERT_URLS"
    )
    alert.add_argument(
        "--test",
        action="store_true",
        required=True,
        help="confirm that a message is sent; the channels of real alerts belong to the sensors",
    )

    build = command(
        "build",
        run_build,
        "run a Dagster job and print a summary; its runs are below VOX_DATA_DIR/dagster, or in the "
        "instance that DAGSTER_HOME names",
    )
    build.add_argument("job", choices=("corpus", "rebuild"))

    calibrate = command("calibrate", _calibrate, "fit the weights of the score on tables")
    calibrate.add_argument("version", metavar="VERSION", help="name of the new weights")
    calibrate.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="FILE",
        help="write the weights to this JSON file",
    )
    calibrate.add_argument("tables", nargs="+", type=Path, metavar="TABLE")
    return parser


def _log(line: str) -> None:
    print(line, file=sys.stderr)


# Tables in files ----------------------------------------------------------------------------


def _read(path: Path, needed: Sequence[str] = ()) -> tuple[Table, Reading]:
    """Read the rows of a table, and log what was repaired or passed over."""
    table = read_table(path)
    reading = read_rows(table, needed)
    for note in reading.notes:
        _log(note)
    return table, reading


def _check_out(path: Path) -> None:
    """Refuse an output file that cannot be written, before the work. Raises UsageError."""
    check_ending(path)
    if path.is_dir():
        raise UsageError(f"{path}: is a folder: expected a file")
    above = next(parent for parent in path.absolute().parents if parent.exists())
    if not above.is_dir():
        raise UsageError(f"{path}: {above} is a file: expected a folder")


def _log_replaced(table: Table, added: Iterable[str]) -> None:
    """Log which columns of a table get other values."""
    replaced = [name for name in added if name in table.columns and name != "pair_id"]
    if replaced:
        _log(f"replaced columns of {table.path}: {', '.join(replaced)}")


def _log_secrets(kinds: Sequence[str]) -> None:
    """Log how many rows hold secrets, by the kind of secret."""
    if kinds:
        counts = ", ".join(f"{kind} ({n:,})" for kind, n in sorted(Counter(kinds).items()))
        _log(f"{len(kinds):,} rows hold a secret and are refused by score: {counts}")


# Commands -----------------------------------------------------------------------------------


def _extract(options: argparse.Namespace) -> int:
    from vox_assets.extract import extract_docs_of, extract_rust_of
    from vox_assets.pipeline.resources.engine import engine

    _check_out(options.out)
    settings = load_settings(source_dir=options.source, profile_reference=options.profile)
    roots = settings.source_roots
    _log(f"{settings.source_dir}: read with the profile {settings.profile_reference}")
    if options.kind == "rust":
        extraction = extract_rust_of(roots, settings.profile, _log, engine(settings))
    else:
        from vox_assets.pipeline.resources.frontend import front_end
        from vox_assets.vox_syntax.frontend import one_by_one

        check_vox = one_by_one(front_end(settings))
        extraction = extract_docs_of(roots, settings.profile, check_vox, _log, engine(settings))
    rows, files = extraction.rows, extraction.files
    write_table(rows, options.out)
    unreadable = files.filter(pl.col("status") == "unreadable")
    for path, reason in unreadable.select("path", "reason").iter_rows():
        _log(f"{path}: {reason}")
    print(f"{options.out}: {rows.height:,} rows from {files.height:,} files")
    return 0


def _check_vox(options: argparse.Namespace) -> int:
    from vox_assets.pipeline.resources.frontend import compiler_or_grammar

    front_end = compiler_or_grammar(find_compiler(), search_path())
    faults: dict[Path, str | None] = {}
    sources: dict[Path, str] = {}
    for path in options.files:
        try:
            sources[path] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            faults[path] = f" cannot be read: {' '.join(str(error).split())}"
    for ui_module in (False, True):
        paths = [path for path in sources if path.name.endswith(".vox.ui") is ui_module]
        verdicts = front_end.check([sources[path] for path in paths], ui_module=ui_module, log=_log)
        faults.update(zip(paths, verdicts, strict=True))
    failed = [path for path in options.files if faults[path] is not None]
    for path in failed:
        print(f"{path}:{faults[path]}")
    good = len(options.files) - len(failed)
    _log(f"{good} of {len(options.files)} files are valid, checked with {front_end.name}")
    return 1 if failed else 0


def _dedup(options: argparse.Namespace) -> int:
    from vox_assets.curate.compared import answers, prompts
    from vox_assets.curate.dedup import deduplicate, evidence, secret_kinds
    from vox_assets.curate.embedding import embed
    from vox_assets.pipeline.resources.engine import engine

    for path in filter(None, (options.out, options.dropped)):
        _check_out(path)
    if options.dropped and options.dropped.resolve() == options.out.resolve():
        raise UsageError(f"{options.out}: OUT and --dropped are one file: expected two")
    settings = load_settings()
    models = _models(settings)
    table, reading = _read(options.source)
    rows = reading.rows
    secrets = secret_kinds(rows)
    rows = rows.with_columns(pl.Series("holds_secret", map(bool, secrets), dtype=pl.Boolean))
    where = engine(settings)

    def embedded(texts: list[str]) -> np.ndarray:
        return embed(texts, models.embedder, models.store, _log, where)

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
    write_with(table, kept, added, options.out)
    if options.dropped:
        write_table(evidence(rows, result.drops), options.dropped)
    losses = result.drops.group_by("kind").len().sort("kind").rows()
    _log("; ".join(f"{kind}: {count:,}" for kind, count in losses) or "no duplicates")
    places = {name: table.place(number) for number, name in enumerate(reading.unique_ids)}
    for first, second in result.conflicts[:SHOWN_CONFLICTS]:
        _log(f"conflict: {places[first]} and {places[second]} answer one prompt differently")
    if len(result.conflicts) > SHOWN_CONFLICTS:
        _log(f"{len(result.conflicts):,} conflicts in all: see conflicts_with in {options.out}")
    if unread := result.compared_by_text:
        _log(f"{unread:,} rows are compared by text alone: the model does not read their script")
    if reading.passed_over:
        _log(f"{len(reading.passed_over):,} rows were not compared and stay: {reading.reasons}")
    _log_secrets([kinds for kinds in secrets if kinds])
    _log_replaced(table, added)
    print(f"{options.out}: {len(kept):,} of {len(table):,} rows survive, compared by {options.by}")
    return 0


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

    _check_out(options.out)
    settings = load_settings()
    table, reading = _read(options.source, ["lane", "language"])
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
        _log(f"{language}: no fitted weights: scored with the weights of {CODE_FALLBACK}")
    evaluator = LocalEvaluator(_models(settings).meter(_log), calibration, settings.profile.scoring)
    scored = refuse_secrets(evaluator.score(rows))
    results = pl.concat([scored.select("position", *SCORE_COLUMNS), unscored(passed_over)]).sort(
        "position"
    )
    positions = results["position"].to_list()
    added: dict[str, list[Any]] = {
        "pair_id": [reading.ids[position] for position in positions],
        **{name: results[name].to_list() for name in SCORE_COLUMNS},
    }
    write_with(table, positions, added, options.out)
    if repeated:
        _log(f"{len(repeated):,} rows repeat an earlier row and were left out")
    if passed_over:
        counts = ", ".join(f"{why} ({n:,})" for why, n in Counter(passed_over.values()).items())
        _log(f"{len(passed_over):,} rows were not scored and are not kept: {counts}")
    _log_secrets(scored.filter(drop_kind=HOLDS)["drop_detail"].to_list())
    _log_replaced(table, added)
    kept = int(scored["kept"].sum())
    print(
        f"{options.out}: {kept:,} of {len(positions):,} rows reach {evaluator.policy.threshold:g}"
    )
    return 0


def _explain(options: argparse.Namespace) -> int:
    from vox_assets.curate.ledger import story
    from vox_assets.store.lake import Lake, TableMissingError

    lake = Lake(load_settings().lake_uri)
    tables: dict[str, pl.DataFrame] = {}
    drops: dict[str, pl.DataFrame] = {}
    for asset in CORPUS_TABLES:
        # Without the first table there is no build. Later tables are missing when it stopped early.
        try:
            tables[asset] = lake.read(asset)
            if asset != "scored_corpus":
                drops[asset] = lake.read_account(asset, "drops")
        except TableMissingError:
            if not tables:
                raise
    try:
        known = [frame["pair_id"] for frame in (*tables.values(), *drops.values())]
        wanted = full_id(options.pair_id, {name for ids in known for name in ids if name}, "row")
        lines = story(wanted, tables, drops)
    except LookupError as error:
        raise UsageError(str(error)) from error
    print("\n".join(lines))
    return 0


def _calibrate(options: argparse.Namespace) -> int:
    from vox_assets.curate.calibrate import LEAST_ROWS, SEED, fit_forms

    if options.out.suffix != ".json":
        raise UsageError(f"{options.out}: expected a name that ends in .json")
    settings = load_settings()
    needed = ["pair_id", "lane", "language", "origin"]
    rows = pl.concat([_read(path, needed)[1].rows for path in options.tables]).unique(
        "pair_id", keep="first", maintain_order=True
    )
    meter = _models(settings).meter(_log)
    measure = partial(meter.everything, corpus=meter.corpus_of(rows))
    forms = fit_forms(rows, measure, settings.profile.scoring)
    if not forms:
        raise UsageError(
            f"{', '.join(map(str, options.tables))}: too few rows to fit on: expected at least "
            f"{LEAST_ROWS} of one language in the half that is fitted on"
        )
    content = {"version": options.version, "seed": SEED, "rows": rows.height, "forms": forms}
    write_text(options.out, json.dumps(content, indent=1, sort_keys=True) + "\n")
    print(f"{options.out}: {', '.join(forms)} fitted on {rows.height:,} rows")
    return 0


def _models(settings: Settings) -> Models:
    from vox_assets.pipeline.resources.model_set import Models

    return Models(settings)
