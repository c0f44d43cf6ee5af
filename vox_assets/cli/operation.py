"""The commands that operate a deployment: builds, alerts and caches."""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

from vox_assets.cli.command import Commands
from vox_assets.cli.ids import UsageError
from vox_assets.compute.models import dequantised_models
from vox_assets.extras import require
from vox_assets.settings import Settings, load_settings, parse_size
from vox_assets.store.cache import ASIDE, BlobCache
from vox_assets.terminal import table


def add(commands: Commands) -> None:
    """Add the commands."""
    build = commands.add(
        "build",
        run_build,
        "run a Dagster job and print a summary; its runs are below VOX_DATA_DIR/dagster, or in the "
        "instance that DAGSTER_HOME names",
        examples=["build corpus", "build rebuild", "build corpus --json"],
        codes={0: "the build succeeded", 1: "a step or a blocking check failed"},
    )
    build.add_argument(
        "job",
        choices=("corpus", "rebuild"),
        help="corpus stops before training; rebuild also trains and evaluates an adapter",
    )
    build.add_argument(
        "--json",
        action="store_true",
        help="print the tables, checks, failures and output folders as one JSON object",
    )

    alert = commands.add(
        "alert",
        send_test_alert,
        "send a test alert to every channel of VOX_ALERT_URLS",
        examples=["alert --test"],
        codes={0: "every channel accepted the alert", 1: "a channel did not, or there is none"},
    )
    alert.add_argument(
        "--test",
        action="store_true",
        required=True,
        help="confirm that a message is sent; the channels of real alerts belong to the sensors",
    )

    cache = commands.add(
        "cache",
        show_caches,
        "show the size of the caches; with --prune, shrink them",
        examples=["cache", "cache --prune", "cache --prune 500MB", "cache --json"],
        codes={0: "the sizes are printed", 1: "SIZE is no size, or a cache is damaged"},
    )
    cache.add_argument(
        "--prune",
        nargs="?",
        const="",
        metavar="SIZE",
        help="remove damaged files and outdated models, then the least recently used entries until "
        "each cache takes at most SIZE (such as 500MB; the default is VOX_CACHE_LIMIT)",
    )
    cache.add_argument("--json", action="store_true", help="print one JSON array")


def run_build(options: argparse.Namespace) -> int:
    """Run a job. A corpus is measured with models and reported with plots, so it needs both."""
    require("pipeline", "report", "train" if options.job == "rebuild" else "models")
    from vox_assets.pipeline.build import build

    return build(options.job, options.json)


def send_test_alert(_: argparse.Namespace) -> int:
    require("pipeline")
    from vox_assets.pipeline.resources.notifier import DeliveryError, Notifier

    settings = load_settings()
    if not settings.alert_urls:
        raise UsageError(
            "VOX_ALERT_URLS: is not set: expected Apprise URLs such as json://host/path"
        )
    notifier = Notifier(settings.alert_urls)
    failed = 0
    for channel in range(1, len(settings.alert_urls) + 1):
        try:
            notifier.send(
                channel,
                "vox-assets: test",
                f"This is a test of channel {channel} of VOX_ALERT_URLS. No build has failed.",
                "success",
            )
        except DeliveryError as error:
            failed += 1
            print(f"vox-assets: {error}", file=sys.stderr)
        else:
            print(f"channel {channel} accepted the test alert")
    return 1 if failed else 0


def caches_below(settings: Settings) -> list[BlobCache]:
    """Return the caches of a deployment in the order of their names."""
    paths = sorted(settings.cache_dir.glob("*.sqlite"))
    return [BlobCache(path, settings.cache_limit) for path in paths]


def show_caches(options: argparse.Namespace) -> int:
    """Print the size of each cache and of the folders beside them, after pruning where asked."""
    settings = load_settings()
    folder = settings.cache_dir
    caches = caches_below(settings)
    try:
        limit = parse_size(options.prune) if options.prune else settings.cache_limit
    except ValueError as error:
        raise UsageError(f"--prune: {error}") from error
    try:
        if options.prune is not None:
            for cache in caches:
                cache.prune(limit)
            for path in folder.glob(f"*{ASIDE}*"):
                path.unlink()
            for model in dequantised_models(folder)[1]:
                shutil.rmtree(model)
        found = [_contents(cache) for cache in caches]
    except (sqlite3.Error, OSError) as error:
        raise UsageError(f"{folder}: {error}") from error
    in_use, superseded = dequantised_models(folder)
    found += [
        {"name": name, "entries": len(paths), "bytes": sum(map(_bytes_below, paths))}
        for name, paths in (
            ("models", in_use),
            ("superseded", superseded),
            ("damaged", sorted(folder.glob(f"*{ASIDE}*"))),
        )
        if paths
    ]
    if options.json:
        print(json.dumps(found, indent=1))
    elif found:
        header = ["cache", "entries", "size", "limit", "used (UTC)"]
        print("\n".join(table(header, [_row(item) for item in found], {1, 2, 3})))
    else:
        print(f"{folder} has no caches yet")
    return 0


def _contents(cache: BlobCache) -> dict[str, Any]:
    contents = cache.contents()
    return {
        "name": cache.path.stem,
        "entries": contents.entries,
        "bytes": contents.size,
        "limit": cache.limit,
        "oldest_use": contents.oldest_use,
        "newest_use": contents.newest_use,
    }


def _row(item: dict[str, Any]) -> list[str]:
    limited = "limit" in item
    first, last = (
        time.strftime("%Y-%m-%d %H:%M", time.gmtime(used)) if used is not None else "never"
        for used in (item.get("oldest_use"), item.get("newest_use"))
    )
    return [
        item["name"],
        f"{item['entries']:,}",
        megabytes(item["bytes"]),
        megabytes(item["limit"]) if limited else "",
        f"{first} to {last}" if limited else "",
    ]


def _bytes_below(path: Path) -> int:
    return sum(p.stat().st_size for p in (path, *path.rglob("*")) if p.is_file())


def megabytes(size: int) -> str:
    """Write a size in megabytes."""
    return f"{size / 1e6:,.1f} MB"
