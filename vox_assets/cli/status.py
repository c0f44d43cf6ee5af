"""The command `status`: settings in effect, last builds, promoted adapter and caches."""

from __future__ import annotations

import argparse
import json
import sqlite3
import time
from typing import Any

from vox_assets.cli.command import Commands, log
from vox_assets.cli.ids import UsageError
from vox_assets.cli.operation import caches_below, megabytes
from vox_assets.extras import require
from vox_assets.settings import Settings, in_effect, load_settings
from vox_assets.terminal import hanging, table

#: Characters of a commit in the table of builds; the JSON has all of them.
SHOWN_COMMIT = 12


def add(commands: Commands) -> None:
    """Add the command."""
    status = commands.add(
        "status",
        show_status,
        "show the settings in effect, the last builds, the promoted adapter and the caches",
        examples=["status", "status --json"],
        codes={
            0: "the status is printed",
            1: "a setting is wrong, a file is damaged, or the builds cannot be read",
        },
    )
    status.add_argument("--json", action="store_true", help="print one JSON object")


def show_status(options: argparse.Namespace) -> int:
    """Print what a deployment uses and what it built. Creates no folder and no database."""
    from vox_assets.training.promote import PromotionError, current

    settings = load_settings()
    try:
        promoted = current(settings.adapters_dir)
        caches = [_cache(settings, cache) for cache in caches_below(settings)]
    except (PromotionError, sqlite3.Error) as error:
        raise UsageError(str(error)) from error
    builds, fault = _builds(settings)
    content: dict[str, Any] = {
        "settings": in_effect(settings),
        "builds": builds,
        "promoted": promoted,
        "caches": caches,
    }
    print(json.dumps(content, indent=1) if options.json else "\n".join(_lines(content)))
    if fault:
        # The settings above help to find the cause.
        log(f"vox-assets: {fault}")
    return 1 if fault else 0


def _cache(settings: Settings, cache: Any) -> dict[str, Any]:
    contents = cache.contents()
    return {
        "name": cache.path.stem,
        "entries": contents.entries,
        "bytes": contents.size,
        "limit": settings.cache_limit,
    }


def _builds(settings: Settings) -> tuple[list[dict[str, Any]] | None, str | None]:
    """Return the last builds; without them, the reason why they cannot be read."""
    from vox_assets.pipeline.automation.instance import CONFIGURATION, InstanceError

    # Dagster creates its storage where it finds none, and this command writes nothing.
    if not (settings.dagster_home / CONFIGURATION).is_file():
        return [], None
    require("pipeline")
    from vox_assets.pipeline.build import last_builds

    try:
        return last_builds(settings), None
    except InstanceError as error:
        return None, str(error)


def _lines(content: dict[str, Any]) -> list[str]:
    lines = table(
        ["setting", "from", "value"],
        [
            [name, item["from"], item["value"] or "not set"]
            for name, item in content["settings"].items()
        ],
    )
    builds = content["builds"]
    lines += [""]
    if builds:
        lines += table(
            ["started (UTC)", "job", "result", "run", "commit"],
            [
                [
                    _minute(item["started"]),
                    item["job"],
                    item["result"],
                    item["run"],
                    (item["commit"] or "")[:SHOWN_COMMIT],
                ]
                for item in builds
            ],
        )
    else:
        lines.append("no builds yet" if builds is not None else "builds cannot be read")
    promoted = content["promoted"]
    lines += ["", "promoted adapter"]
    if promoted:
        since = f"since {promoted['at']}, by {promoted['by']}: {promoted['reason']}"
        lines += hanging(f"{promoted['digest']} ", since)
    else:
        lines.append("none")
    lines += [""]
    caches = [
        [item["name"], f"{item['entries']:,}", megabytes(item["bytes"]), megabytes(item["limit"])]
        for item in content["caches"]
    ]
    lines += (
        table(["cache", "entries", "size", "limit"], caches, {1, 2, 3}) if caches else ["no caches"]
    )
    return lines


def _minute(moment: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(moment)) if moment else "not started"
