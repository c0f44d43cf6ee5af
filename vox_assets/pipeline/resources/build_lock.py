"""Creates the IO manager of a run, which holds the build lock."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from vox_assets.settings import Settings
from vox_assets.store.files import exclusive

LOCK = "build.lock"


def lake_io_manager(settings: Settings) -> dg.IOManagerDefinition:
    """Create the IO manager of the lake, which holds the build lock until the run ends.

    Two builds must not mix their tables, so a second run waits, however it was launched. The
    system releases the lock when the process ends, so a killed run leaves no lock. The IO
    manager imports the libraries of scoring for their schemas, so it is imported in the run and not
    when the code location loads.
    """

    @dg.io_manager  # type: ignore[arg-type]  # Dagster closes the generator at the end of the run
    def tables(context: dg.InitResourceContext) -> Iterator[dg.IOManager]:
        from vox_assets.pipeline.resources.lake_io import LakeIOManager
        from vox_assets.store.lake import Lake

        log = context.log.info if context.log is not None else None
        with exclusive(settings.data_dir / LOCK, log):
            yield LakeIOManager(Lake(settings.lake_uri))

    return tables
