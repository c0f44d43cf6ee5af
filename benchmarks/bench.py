"""Every stage against a peer or a physical limit, side by side: `make bench`.

Each result is a ratio, ours over the reference, with the target that it has to meet; see `timing`
for how it is taken and `sources` for the input (VOX_SOURCE_DIR, where it is set, names a tree to
use instead). Prints a table, with how right both sides are below it, and writes
`reports/bench.json`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import dedup
import extraction
import measuring
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
    """All rows that extraction makes of a tree."""
    rust = extract_rust(tree, settings.profile, commit=None).rows
    docs = extract_docs(tree, settings.profile, commit=None, check_vox=vox_fault).rows
    return pl.concat([rust, docs])


def run(settings: Settings, scratch: Path) -> tuple[list[timing.Result], list[str], str]:
    """All results, the notes beside them, and what the input is."""
    results: list[timing.Result] = []
    notes: list[str] = []

    def add(result: timing.Result, *beside: str) -> None:
        results.append(result)
        notes.extend(beside)
        print(line(result), flush=True)

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
    compared, told = dedup.compare(texts[: dedup.ROWS], models.embedder)
    for result in compared:
        add(result)
    notes += told
    add(dedup.growth(rows.head(dedup.ROWS)))
    add(measuring.cheap_growth(rows, settings.profile))

    meter = models.meter(lambda line: None)
    quiet_libraries()
    add(*measuring.embedding(rows, models.embedder, scratch))
    add(*measuring.surprise(rows, meter, scratch))
    add(*measuring.rebuild(settings.profile, meter, scratch))
    add(*train.against_trl(scratch))
    return results, notes, f"{source}: {rows.height:,} rows"


def line(one: timing.Result) -> str:
    verdict = "" if one.holds else "  MISSED"
    return (
        f"{one.name:<26}{one.ours_s:>8.2f}s{one.reference_s:>10.2f}s  {one.ratio:>6.3g}"
        f"{one.target:>8.3g}  {one.reference}{verdict}"
    )


def main() -> int:
    """Run every comparison; the exit code is 0 only when all ratios meet their targets."""
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
        "results": [asdict(one) for one in results],
        "notes": notes,
    }
    write_text(settings.reports_dir / "bench.json", json.dumps(content, indent=2) + "\n")
    missed = [one.name for one in results if not one.holds]
    if missed:
        print(f"over their targets: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
