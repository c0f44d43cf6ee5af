"""Whole processes timed against the least that anyone could do: `make bench`.

Each result is a ratio of medians, ours over the reference, in alternating runs on the same input:
VOX_SOURCE_DIR, or else copies of the bundled workspace side by side, as large together as a real
repository. Prints a table and writes `reports/bench.json`.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import dedup

from vox_assets.curate.syntax import vox_fault
from vox_assets.engine.files import write_text
from vox_assets.extract import extract_docs, extract_rust
from vox_assets.resources.settings import SAMPLE_WORKSPACE, Settings, load_settings

# The median of three is the least that one disturbed run cannot decide.
RUNS = 3
# The bundled workspace is so small that starting a process outweighs the work in it.
COPIES = 16

BARE_RUST_PARSE = """
import pathlib, sys, tree_sitter, tree_sitter_rust
parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language()))
for path in sorted(pathlib.Path(sys.argv[1], "crates").rglob("*.rs")):
    parser.parse(path.read_bytes())
"""
BARE_MARKDOWN_PARSE = """
import pathlib, sys
from markdown_it import MarkdownIt
parser = MarkdownIt("commonmark").enable("table")
for path in sorted(pathlib.Path(sys.argv[1], "docs", "src").rglob("*.md")):
    parser.parse(path.read_text(encoding="utf-8", errors="replace"))
"""
DEFINITIONS_LOAD = "import vox_assets.definitions as code; code.defs()"


@dataclass(frozen=True)
class Result:
    """Median seconds of both sides; the ratio is lower-is-better and holds up to `target`."""

    name: str
    ours_s: float
    reference: str
    reference_s: float
    ratio: float
    target: float
    n: int


def seconds(command: list[str]) -> float:
    """Processor time of a process that has to succeed: other work on the machine counts least."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(name: str, ours: list[str], reference: str, theirs: list[str], target: float) -> Result:
    """Time both in turn, after one uncounted run of each."""
    seconds(ours), seconds(theirs)
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(RUNS)]
    mine, other = (statistics.median(side) for side in zip(*pairs, strict=True))
    return Result(
        name, round(mine, 3), reference, round(other, 3), round(mine / other, 2), target, RUNS
    )


def at_scale(workspace: Path, target: Path) -> Path:
    """Copies of a workspace's crates and pages below `target`, under names of their own."""
    for copy in range(COPIES):
        for crate in (workspace / "crates").iterdir():
            # Without a manifest a crate goes by its folder, so that no two copies ask the same.
            ignored = shutil.ignore_patterns("Cargo.toml")
            shutil.copytree(crate, target / "crates" / f"{crate.name}-{copy}", ignore=ignored)
        shutil.copytree(workspace / "docs" / "src", target / "docs" / "src" / f"copy-{copy}")
    return target


def processor() -> str:
    """The processor's name as the system gives it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def compare_dedup(settings: Settings) -> tuple[Result, list[str]]:
    """Near-duplicate rows of the source tree, and how right both sides are about them."""
    source, profile = settings.source_dir, settings.profile
    texts = [
        *extract_rust(source, profile, commit=None).rows["response"],
        *extract_docs(source, profile, commit=None, check_vox=vox_fault).rows["response"],
    ][: dedup.ROWS]
    mine, other, notes = dedup.alternate(texts, RUNS)
    result = Result(
        "near dedup",
        round(mine, 3),
        f"rensa, {len(texts):,} rows",
        round(other, 3),
        round(mine / other, 2),
        1.0,
        RUNS,
    )
    return result, notes


def main() -> int:
    """Run every comparison; the exit code is 0 only when all ratios meet their targets."""
    settings = load_settings()
    with tempfile.TemporaryDirectory() as folder:
        is_sample = settings.source_dir.resolve() == SAMPLE_WORKSPACE.resolve()
        tree = at_scale(SAMPLE_WORKSPACE, Path(folder)) if is_sample else settings.source_dir
        source = str(tree)
        out = str(Path(folder, "rows.parquet"))
        extract = [sys.executable, "-m", "vox_assets.cli", "extract"]
        results = [
            compare(
                "extract rust",
                [*extract, "rust", source, out],
                "bare tree-sitter parse",
                [sys.executable, "-c", BARE_RUST_PARSE, source],
                target=3.0,
            ),
            compare(
                "extract docs",
                [*extract, "docs", source, out],
                "bare markdown-it parse",
                [sys.executable, "-c", BARE_MARKDOWN_PARSE, source],
                target=2.0,
            ),
            compare(
                "definitions",
                [sys.executable, "-c", DEFINITIONS_LOAD],
                "import dagster",
                [sys.executable, "-c", "import dagster"],
                target=2.5,
            ),
        ]
    deduped, notes = compare_dedup(settings)
    results.append(deduped)
    print(f"{'':<16}{'ours':>9}{'reference':>11}  {'ratio':>6}{'target':>8}  against")
    for one in results:
        print(
            f"{one.name:<16}{one.ours_s:>8.2f}s{one.reference_s:>10.2f}s  {one.ratio:>6.2f}"
            f"{one.target:>8.2f}  {one.reference}"
        )
    print("\n".join(notes))
    machine = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "source": f"{COPIES} copies of the sample" if is_sample else settings.profile.name,
    }
    content = {
        "machine": machine,
        "results": [asdict(one) for one in results],
        "near_dedup": notes,
    }
    write_text(settings.reports_dir / "bench.json", json.dumps(content, indent=2) + "\n")
    return 0 if all(one.ratio <= one.target for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())
