"""What a build leaves for people and trainers: the ledger, the exports and the report."""

import json

import dagster as dg
import polars as pl

from vox_assets.assets.metadata import OWNERS, lineage, pictures, table
from vox_assets.curate.ledger import build_ledger
from vox_assets.curate.scoring import auc_per_kind
from vox_assets.engine.files import write_text
from vox_assets.engine.lake import Lake
from vox_assets.extract import git_commit
from vox_assets.resources.settings import Settings
from vox_assets.training.adapter import CURVE, read_manifest
from vox_assets.training.export import export
from vox_assets.training.promote import current
from vox_assets.training.report import render_report

GROUP = "records"


@dg.asset(
    group_name=GROUP,
    kinds={"polars", "deltalake"},
    owners=OWNERS,
    code_version="1",
)
def row_ledger(
    lake: dg.ResourceParam[Lake],
    raw_rust_fns: pl.DataFrame,
    doc_qa_pairs: pl.DataFrame,
    synthetic_pairs: pl.DataFrame,
    scored_corpus: pl.DataFrame,
    training_mix: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """One line per pair that any source gave: where it ended, why, and which row it lost to."""
    ledger = build_ledger(
        {
            "raw_rust_fns": raw_rust_fns,
            "doc_qa_pairs": doc_qa_pairs,
            "synthetic_pairs": synthetic_pairs,
        },
        lake.read_account("deduped_corpus", "drops"),
        scored_corpus,
        lake.read_account("training_mix", "drops"),
        training_mix,
    )
    fates = (
        ledger.group_by("source_asset", "fate", "stage")
        .len("rows")
        .sort("source_asset", "fate", "stage")
    )
    born = dict.fromkeys(("raw_rust_fns", "doc_qa_pairs", "synthetic_pairs"), ("pair_id",))
    ends = {"scored_corpus": (), "training_mix": ()}
    return dg.MaterializeResult(
        value=ledger,
        metadata={
            "fates": table(fates),
            **lineage(ledger.columns, {**born, **ends}, ("pair_id",)),
        },
    )


@dg.asset(
    group_name=GROUP,
    kinds={"huggingface", "json"},
    owners=OWNERS,
    code_version="1",
)
def corpus_card(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    raw_rust_fns: pl.DataFrame,
    doc_qa_pairs: pl.DataFrame,
    synthetic_pairs: pl.DataFrame,
    deduped_corpus: pl.DataFrame,
    scored_corpus: pl.DataFrame,
    training_mix: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """The Hugging Face dataset, the Vox training contract, and a report with plots."""
    profile = settings.profile
    commit = git_commit(settings.source_dir)
    name = f"{profile.name} corpus"
    export(
        scored_corpus,
        training_mix,
        settings.exports_dir,
        name=name,
        license_id=profile.license,
        source_commit=commit,
    )
    kept = scored_corpus.filter("kept")
    funnel = [
        ("raw_rust_fns", raw_rust_fns.height),
        ("doc_qa_pairs", doc_qa_pairs.height),
        ("synthetic_pairs", synthetic_pairs.height),
        ("deduped_corpus", deduped_corpus.height),
        ("kept by score", kept.height),
        ("training_mix", training_mix.height),
    ]
    separation = auc_per_kind(lake.read_account("scored_corpus", "mutants"))
    serving = current(settings.adapters_dir)
    directory = settings.adapters_dir / serving["digest"] if serving else None
    manifest = read_manifest(directory) if directory else None
    curve = (directory / CURVE).read_text(encoding="utf-8").splitlines() if directory else []
    report = render_report(
        title=name,
        facts={
            "source commit": commit or "not under git",
            "profile": f"{profile.name} ({profile.digest})",
            "serving adapter": serving["digest"] if serving else "none yet",
        },
        funnel=funnel,
        scored=scored_corpus,
        mix_rows=training_mix,
        evaluators=[{"name": kind, "auc": area} for kind, area in separation.items()],
        curve=[json.loads(line) for line in curve],
        evaluation=manifest["evaluation"] if manifest else None,
    )
    path = settings.reports_dir / "corpus.html"
    write_text(path, report)
    context.log.info(f"exports in {settings.exports_dir}, report at {path}")
    steps = pl.DataFrame(funnel, schema={"step": pl.String, "rows": pl.Int64}, orient="row")
    return dg.MaterializeResult(
        value=steps,
        metadata={
            "funnel": table(steps),
            "plots": pictures(report),
            "report": dg.MetadataValue.path(str(path)),
            "exports": dg.MetadataValue.path(str(settings.exports_dir)),
        },
    )
