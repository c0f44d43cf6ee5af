"""Tests the source assets, the ledger and the report with two repositories."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from vox_assets.contract.rows import DROP_SCHEMA, SOURCE_TABLES
from vox_assets.curate.ledger import build_ledger, fates_by_repository
from vox_assets.curate.separation import SEPARATION_SCHEMA
from vox_assets.pipeline.corpus import copied_between_repositories
from vox_assets.publish.corpus_report import corpus_report
from vox_assets.publish.pages import Origin
from vox_assets.settings import Settings
from vox_assets.store.lake import Lake
from vox_assets_tests.pipeline.conftest import build, settings_for, verdicts, write_profile

SOURCES = ("raw_rust_fns", "doc_qa_pairs")


@pytest.fixture(scope="module")
def settings(small_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Create two repositories: `main` is the small workspace, `other` extends a copy of a crate."""
    folder = tmp_path_factory.mktemp("two")
    crate = folder / "other/crates/vox-units"
    shutil.copytree(small_tree / "crates/vox-units", crate)
    library = crate / "src/lib.rs"
    added = "\n/// Halves a length in metres, as the other repository needs it done.\n"
    added += "pub fn halved(metres: f64) -> f64 {\n    let half = metres / 2.0;\n    half\n}\n"
    library.write_text(library.read_text() + added)
    repositories = [
        {"name": "main", "root": str(small_tree)},
        {"name": "other", "root": str(folder / "other")},
    ]
    profile = write_profile(folder / "two.yaml", repositories=repositories)
    return settings_for(folder, folder / "data", profile)


@pytest.fixture(scope="module")
def result(settings: Settings) -> Iterator[dg.ExecuteInProcessResult]:
    with dg.instance_for_test() as instance:
        keys = [dg.AssetKey(name) for name in SOURCES]
        yield build(settings, "corpus", instance, asset_selection=keys)


def test_the_source_assets_and_their_checks_cover_both_repositories(
    settings: Settings, result: dg.ExecuteInProcessResult
) -> None:
    assert result.success
    rows = Lake(settings.lake_uri).read("raw_rust_fns")
    assert {path.split("/")[0] for path in rows["source_path"]} == {"main", "other"}
    passed = {name for name, verdict in verdicts(result).items() if verdict.passed}
    assert {"raw_rust_fns:files_accounted", "doc_qa_pairs:eligible_pages_only"} <= passed
    (event,) = result.asset_materializations_for_node("raw_rust_fns")
    counts = [event.metadata[f"repository/{name}"].value for name in ("main", "other")]
    assert sum(int(str(count)) for count in counts) == rows.height


def test_ledger_report_and_split_use_the_repositories(
    settings: Settings, result: dg.ExecuteInProcessResult
) -> None:
    assert result.success
    lake = Lake(settings.lake_uri)
    rows = lake.read("raw_rust_fns")
    scored = rows.with_columns(
        pl.lit(1).alias("cluster_size"),
        pl.lit([0.6, 0.8], pl.List(pl.Float32)).alias("embedding"),
        pl.lit(8.0).alias("score"),
        pl.lit(True).alias("kept"),
        *(
            pl.lit(None, pl.String).alias(name)
            for name in ("drop_kind", "drop_detail", "drop_reason")
        ),
        pl.lit(1.0).alias("perplexity"),
        pl.lit(50).alias("tokens"),
    )
    no_drops = pl.DataFrame(schema=DROP_SCHEMA)
    lake.write_account("deduped_corpus", "drops", no_drops)
    lake.write_account("training_mix", "drops", no_drops)
    lake.write("synthetic_pairs", rows.clear())
    lake.write("scored_corpus", scored)
    lake.write("training_mix", scored.with_columns(pl.lit("train").alias("split")))
    mutants = pl.DataFrame(
        [("a", None, "rust", 9.0, False), ("a", "cut", "rust", 2.0, True)],
        schema=SEPARATION_SCHEMA,
        orient="row",
    )
    lake.write_account("scored_corpus", "mutants", mutants)
    copies = copied_between_repositories(lake, scored, settings.profile)
    assert ("other/crates/vox-units/src/lib.rs", "main/crates/vox-units/src/lib.rs") in copies
    sources = {name: lake.read(name) for name in SOURCE_TABLES}
    ledger = build_ledger(sources, no_drops, scored, no_drops, lake.read("training_mix"))
    fates = fates_by_repository(ledger, sources, settings.profile)
    assert set(fates["repository"]) >= {"main", "other"}
    page = corpus_report(
        settings.profile,
        Origin({}),
        sources,
        scored,
        lake.read("training_mix"),
        ledger,
        mutants,
    ).html()
    assert "Fates of the rows of each repository" in page
    assert "<td>other</td>" in page
