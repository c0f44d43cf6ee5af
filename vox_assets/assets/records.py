"""What a build leaves for people and trainers: the ledger, the exports and the report."""

import json

import dagster as dg
import polars as pl

from vox_assets.assets.metadata import OWNERS, table
from vox_assets.curate.ledger import build_ledger, funnel, reasons
from vox_assets.curate.scoring import Calibration, auc_per_kind
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
    return dg.MaterializeResult(value=ledger, metadata={"fates": table(fates)})


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
    scored_corpus: pl.DataFrame,
    training_mix: pl.DataFrame,
    row_ledger: pl.DataFrame,
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
    steps = funnel(row_ledger)
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
        funnel=steps,
        reasons=reasons(row_ledger),
        scored=scored_corpus,
        mix_rows=training_mix,
        separation=separation,
        weights={name: form.weight for name, form in Calibration.load().forms.items()},
        curve=[json.loads(line) for line in curve],
        evaluation=manifest["evaluation"] if manifest else None,
    )
    path = settings.reports_dir / "corpus.html"
    write_text(path, report)
    context.log.info(f"exports in {settings.exports_dir}, report at {path}")
    return dg.MaterializeResult(
        value=steps,
        metadata={
            "funnel": table(steps),
            "report": dg.MetadataValue.path(str(path)),
            "exports": dg.MetadataValue.path(str(settings.exports_dir)),
        },
    )
