"""The commands about adapters: list, promote and verify them."""

from __future__ import annotations

import argparse
import json
from typing import Any

from vox_assets.cli.command import Commands, log
from vox_assets.cli.ids import UsageError, full_id
from vox_assets.extras import require
from vox_assets.settings import load_settings
from vox_assets.terminal import hanging, table

_DIGEST_HELP = "digest of the adapter, or its first characters where no other has them"


def add(commands: Commands) -> None:
    """Add the commands."""
    promote = commands.add(
        "promote",
        promote_adapter,
        "make an adapter that passed its evaluation the current one",
        examples=["promote 51a0"],
        codes={0: "the adapter is promoted", 1: "it did not pass, or does not exist"},
    )
    promote.add_argument("digest", metavar="DIGEST", help=_DIGEST_HELP)

    adapters = commands.add(
        "adapters",
        list_adapters,
        "list the adapters that may be promoted, with their figures on held-out rows, and why the "
        "others may not",
        examples=["adapters", "adapters --json"],
        codes={0: "the list is printed", 1: "a file below VOX_DATA_DIR/adapters is damaged"},
    )
    adapters.add_argument(
        "--json", action="store_true", help="print one JSON array of all adapters"
    )

    verify = commands.add(
        "verify",
        verify_adapter,
        "check the files of an adapter and its training rows against their digests",
        examples=["verify 51a0"],
        codes={0: "every digest matches", 1: "a digest differs, or the adapter does not exist"},
    )
    verify.add_argument("digest", metavar="DIGEST", help=_DIGEST_HELP)


def list_adapters(options: argparse.Namespace) -> int:
    """List the adapters that may be promoted with their figures, and why the others may not."""
    from vox_assets.training.promote import PromotionError, candidates

    settings = load_settings()
    try:
        found = candidates(settings.adapters_dir, settings.profile.mix.lanes)
    except PromotionError as error:
        raise UsageError(str(error)) from error
    if options.json:
        print(json.dumps(found, indent=1, sort_keys=True))
        return 0
    ready = [adapter for adapter in found if adapter["obstacle"] is None]
    if ready:
        header = ["adapter", "loss ratio", "interval", "perplexity", "rank", "lanes"]
        print("\n".join(table(header, [_row(adapter) for adapter in ready], {1, 3, 4})))
    else:
        print(f"{settings.adapters_dir} has no adapter to promote")
    for adapter in found:
        if adapter["obstacle"] is not None:
            reason = f"may not be promoted: {adapter['obstacle']}"
            log("\n".join(hanging(f"{adapter['digest']}: ", reason)))
    return 0


def _row(adapter: dict[str, Any]) -> list[str]:
    ratio, change = adapter["loss_ratio"], adapter["perplexity_change"]
    return [
        adapter["digest"],
        f"{ratio['value']:.3f}",
        f"[{ratio['low']:.3f}, {ratio['high']:.3f}]",
        f"{change['value']:.1%}",
        str(adapter["rank"]),
        ", ".join(adapter["lanes"]) + (" (promoted)" if adapter["promoted"] else ""),
    ]


def promote_adapter(options: argparse.Namespace) -> int:
    from vox_assets.training.promote import PromotionError, known_adapters, promote

    try:
        settings = load_settings()
        root = settings.adapters_dir
        digest = full_id(options.digest, known_adapters(root), "adapter")
        decision = promote(root, digest, settings.profile.mix.lanes)
    except PromotionError as error:
        raise UsageError(str(error)) from error
    print(decision.reason)
    return 0


def verify_adapter(options: argparse.Namespace) -> int:
    require("pipeline", "train")
    from vox_assets.store.lake import Lake
    from vox_assets.training.adapter.verify import verify, verify_tables
    from vox_assets.training.promote import known_adapters

    settings = load_settings()
    root = settings.adapters_dir
    digest = full_id(options.digest, known_adapters(root), "adapter")
    if digest not in known_adapters(root):
        raise UsageError(f"{digest}: no such adapter below {root}")
    faults = verify(root / digest)
    faults = faults or verify_tables(root / digest, Lake(settings.lake_uri))
    for fault in faults:
        print(f"{digest}: {fault}")
    if not faults:
        print(f"{digest}: every digest matches, and the lake has the rows it was trained on")
    return 1 if faults else 0
