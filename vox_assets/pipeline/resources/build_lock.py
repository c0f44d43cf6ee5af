"""The lake's IO manager as a resource that a code location loads without its libraries."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from vox_assets.settings import Settings
from vox_assets.store.files import exclusive

LOCK = "build.lock"


def lake_io_manager(settings: Settings) -> dg.IOManagerDefinition:
    """Tables of the lake, and the right to write them for as long as a run lasts.

    Tables of two builds must never be mixed: a second run waits, whichever way it was launched.
    The lock goes with its process, so that a run that was killed leaves none. dagster-polars
    brings pandas, half a second of every load: only a run imports it.
    """

    @dg.io_manager  # type: ignore[arg-type]  # dagster takes a generator and ends it with the run
    def tables(context: dg.InitResourceContext) -> Iterator[dg.IOManager]:
        from vox_assets.pipeline.resources.lake_io import LakeIOManager
        from vox_assets.store.lake import Lake

        say = context.log.info if context.log is not None else None
        with exclusive(settings.data_dir / LOCK, say):
            yield LakeIOManager(Lake(settings.lake_uri))

    return tables
