"""The command `doctor`: what a profile reads and refuses in a source tree, and why."""

from __future__ import annotations

import argparse
import json
from typing import Any

import polars as pl

from vox_assets import extras
from vox_assets.cli.command import Commands, add_profile, add_project, log
from vox_assets.settings import load_settings
from vox_assets.terminal import table

#: Reasons that are shown, the most frequent first; --json has all.
SHOWN = 8


def add(commands: Commands) -> None:
    """Add the command."""
    doctor = commands.add(
        "doctor",
        _doctor,
        "show what is read and refused of a project, why, and how many rows come out",
        examples=["doctor . --profile vox-assets.yaml", "doctor data/sample_workspace --json"],
        codes={
            0: "every trained lane has the rows that it needs, before dedup and scoring",
            1: "a lane has too few rows, or the sources, the profile or a program cannot be used",
        },
    )
    add_project(doctor)
    add_profile(doctor)
    doctor.add_argument("--json", action="store_true", help="print one JSON object")


def _doctor(options: argparse.Namespace) -> int:
    from vox_assets.extract import extract_docs_of, extract_rust_of
    from vox_assets.mix.size import distinct_rows_by_lane, size_verdict
    from vox_assets.pipeline.resources.engine import engine
    from vox_assets.pipeline.resources.frontend import front_end
    from vox_assets.vox_syntax.frontend import one_by_one

    settings = load_settings(source_dir=options.source, profile_reference=options.profile)
    profile, roots, where = settings.profile, settings.source_roots, engine(settings)
    checker = front_end(settings)
    rust = extract_rust_of(roots, profile, log, where)
    docs = extract_docs_of(roots, profile, one_by_one(checker), log, where)
    rows = pl.concat([rust.rows, docs.rows])
    verdict = size_verdict(distinct_rows_by_lane(rows), profile.mix.lanes, profile.size.tier)
    content: dict[str, Any] = {
        "profile": settings.profile_reference,
        "project": profile.project_name,
        "language": profile.language,
        "front_end": checker.name,
        "sources": {
            kind: {
                "files": _counts(extraction.files, "status"),
                "refused_files": _counts(extraction.files, "reason"),
                "rows": extraction.rows.height,
                "rows_by_family": _counts(extraction.rows, "task_family"),
                "dropped_items": _counts(extraction.drops, "kind"),
            }
            for kind, extraction in (("rust", rust), ("docs", docs))
        },
        "rows_by_lane": _counts(rows, "lane"),
        "enough": verdict.passed,
        "reason": verdict.reason,
        "extras": {extra: extras.installed(extra) for extra in extras.EXTRAS},
    }
    print(json.dumps(content, indent=1) if options.json else "\n".join(_lines(content)))
    return 0 if verdict.passed else 1


def _counts(frame: pl.DataFrame, column: str) -> dict[str, int]:
    """Count the values of a column, the most frequent first."""
    counted = frame.drop_nulls(column).group_by(column).len("count")
    return dict(counted.sort("count", column, descending=[True, False]).iter_rows())


def _lines(content: dict[str, Any]) -> list[str]:
    lines = [
        f"project {content['project']}, language {content['language']}, "
        f"checked by {content['front_end']}, profile {content['profile']}",
        "",
    ]
    lines += table(
        ["source", "files", "with rows", "rows", "families"],
        [
            [
                kind,
                f"{sum(source['files'].values()):,}",
                f"{source['files'].get('rows', 0):,}",
                f"{source['rows']:,}",
                _listed(source["rows_by_family"]),
            ]
            for kind, source in content["sources"].items()
        ],
        {1, 2, 3},
    )
    for what, name in (("refused_files", "files without rows"), ("dropped_items", "items dropped")):
        for kind, source in content["sources"].items():
            if counts := source[what]:
                lines += ["", f"{kind}: {name}"]
                shown = list(counts.items())[:SHOWN]
                lines += [f"  {count:>7,}  {reason}" for reason, count in shown]
                if len(counts) > SHOWN:
                    rest = sum(list(counts.values())[SHOWN:])
                    lines.append(f"  {rest:>7,}  for {len(counts) - SHOWN} other reasons: --json")
    missing = [extra for extra, there in content["extras"].items() if not there]
    lines += [
        "",
        f"rows by lane  {_listed(content['rows_by_lane'])}",
        f"size          {content['reason']}",
    ]
    if missing:
        lines.append(f"not installed {', '.join(missing)}: {extras.command(*missing)}")
    return lines


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"
