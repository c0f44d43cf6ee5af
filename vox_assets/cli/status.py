"""The command `status`: settings in effect, last builds, promoted adapter and caches."""

from __future__ import annotations

import argparse
import json
import sqlite3
import time
from typing import Any

from vox_assets.cli.command import Commands
from vox_assets.cli.ids import UsageError
from vox_assets.cli.operation import caches_below, megabytes
from vox_assets.settings import Settings, in_effect, load_settings


def add(commands: Commands) -> None:
    """Add the command."""
    status = commands.add(
        "status",
        show_status,
        "show the settings in effect, the last builds, the promoted adapter and the caches",
        examples=["status", "status --json"],
        codes={0: "the status is printed", 1: "a setting is wrong, or a file is damaged"},
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
    content: dict[str, Any] = {
        "settings": in_effect(settings),
        "builds": _builds(settings),
        "promoted": promoted,
        "caches": caches,
    }
    print(json.dumps(content, indent=1) if options.json else "\n".join(_lines(content)))
    return 0


def _cache(settings: Settings, cache: Any) -> dict[str, Any]:
    contents = cache.contents()
    return {
        "name": cache.path.stem,
        "entries": contents.entries,
        "bytes": contents.size,
        "limit": settings.cache_limit,
    }


def _builds(settings: Settings) -> list[dict[str, Any]]:
    from vox_assets.pipeline.automation.instance import CONFIGURATION

    # Dagster creates its storage where it finds none, and this command writes nothing.
    if not (settings.dagster_home / CONFIGURATION).is_file():
        return []
    from vox_assets.pipeline.build import last_builds

    return last_builds(settings.dagster_home)


def _lines(content: dict[str, Any]) -> list[str]:
    lines = [f"{'setting':<24}{'from':<13}value"]
    lines += [
        f"{name:<24}{item['from']:<13}{item['value'] or 'not set'}"
        for name, item in content["settings"].items()
    ]
    lines += ["", f"{'started (UTC)':<18}{'job':<12}{'result':<10}{'run':<38}commit"]
    lines += [
        f"{_minute(item['started']):<18}{item['job']:<12}{item['result']:<10}{item['run']:<38}"
        f"{item['commit'] or ''}"
        for item in content["builds"]
    ] or ["no builds yet"]
    promoted = content["promoted"]
    lines += ["", "promoted adapter"]
    lines.append(
        f"{promoted['digest']} since {promoted['at']}, by {promoted['by']}: {promoted['reason']}"
        if promoted
        else "none"
    )
    lines += ["", f"{'cache':<12}{'entries':>10}{'size':>14}{'limit':>14}"]
    lines += [
        f"{item['name']:<12}{item['entries']:>10,}{megabytes(item['bytes']):>14}"
        f"{megabytes(item['limit']):>14}"
        for item in content["caches"]
    ] or ["none"]
    return lines


def _minute(moment: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(moment)) if moment else "not started"
