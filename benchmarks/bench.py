"""Compares every stage with a peer or with the least possible work: `make bench`.

Each result is the ratio of our time to the reference, with a target; `timing` explains the
measurement, and `sources` the input (VOX_SOURCE_DIR selects another tree). Prints a table and,
below it, the accuracy of both sides; writes `reports/bench.json`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import dedup
import extraction
import generation
import measuring
import planted
import polars as pl
import sources
import timing
import train

from vox_assets.extract import extract_docs, extract_rust
from vox_assets.pipeline.resources.model_set import Models
from vox_assets.settings import SAMPLE_WORKSPACE, Settings, load_settings
from vox_assets.store.files import write_text
from vox_assets.store.progress import quiet_libraries
from vox_assets.vox_syntax.parsers import vox_fault


def rows_of(tree: Path, settings: Settings) -> pl.DataFrame:
    """Extract all rows of a tree."""
    rust = extract_rust(tree, settings.profile, commit=None).rows
    docs = extract_docs(tree, settings.profile, commit=None, check_vox=vox_fault).rows
    return pl.concat([rust, docs])


def run(settings: Settings, scratch: Path) -> tuple[list[timing.Result], list[str], str]:
    """Run all comparisons; return the results, the notes on accuracy, and the name of the input."""
    results: list[timing.Result] = []
    notes: list[str] = []

    def add(result: timing.Result, *accuracy: str) -> None:
        results.append(result)
        notes.extend(accuracy)
        print(table_line(result), flush=True)

    own_tree = settings.source_dir.resolve() != SAMPLE_WORKSPACE.resolve()
    if own_tree:
        tree, source = settings.source_dir, settings.profile.name
    else:
        tree = sources.lay_out(scratch / "tree", settings.cache_dir / "bench")
        source = sources.SOURCE
    print(f"{'':<26}{'ours':>9}{'reference':>11}  {'ratio':>6}{'target':>8}  against")
    add(extraction.rust(tree, scratch))
    add(extraction.docs(tree, scratch))
    add(extraction.definitions())

    models = Models(settings)
    rows = rows_of(tree, settings)
    texts = rows["response"].to_list()
    dedup_results, accuracy = dedup.compare(texts[: dedup.ROWS], models.embedder)
    for result in dedup_results:
        add(result)
    notes += accuracy
    notes += planted.report(models.embedder)
    add(dedup.growth(rows.head(dedup.ROWS)))
    add(measuring.cheap_growth(rows, settings.profile))

    meter = models.meter(lambda line: None)
    quiet_libraries()
    add(*measuring.embedding(rows, models.embedder, scratch))
    add(*measuring.surprise(rows, meter, scratch))
    add(*measuring.rebuild(settings.profile, meter, scratch))
    add(*generation.generation(rows, models.base, scratch))
    add(*train.against_trl(scratch))
    return results, notes, f"{source}: {rows.height:,} rows"


def table_line(result: timing.Result) -> str:
    """Format a result as a line of the table."""
    verdict = "" if result.meets_target else "  MISSED"
    return (
        f"{result.name:<26}{result.ours_s:>8.2f}s{result.reference_s:>10.2f}s  "
        f"{result.ratio:>6.3g}{result.target:>8.3g}  {result.reference}{verdict}"
    )


def main() -> int:
    """Run every comparison; return 0 only if all ratios meet their targets."""
    settings = load_settings()
    with tempfile.TemporaryDirectory() as folder:
        try:
            results, notes, source = run(settings, Path(folder))
        except sources.InputError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    print("\n".join(notes))
    content = {
        "machine": {**timing.machine(), "source": source},
        "results": [asdict(result) for result in results],
        "notes": notes,
    }
    write_text(settings.reports_dir / "bench.json", json.dumps(content, indent=2) + "\n")
    missed = [result.name for result in results if not result.meets_target]
    if missed:
        print(f"over their targets: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
