"""Creates the IO manager of a run, which holds the build lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import dagster as dg

from vox_assets.pipeline.resources.shown import refuse_other_values, shown_field
from vox_assets.settings import Settings
from vox_assets.store.files import exclusive
from vox_assets.store.lake import without_keys

LOCK = "build.lock"


def lake_io_manager(
    settings: Settings,
    around_run: Callable[[dg.InitResourceContext], AbstractContextManager[None]],
) -> dg.IOManagerDefinition:
    """Create the IO manager of the lake, which holds the build lock until the run ends.

    `around_run` is entered when the run has the lock and left when the run has ended.

    Two builds must not mix their tables, so a second run waits, however it was launched. The
    system releases the lock when the process ends, so a killed run leaves no lock. The IO
    manager imports the libraries of scoring for their schemas, which commands that only test the
    lock do not need, so it is imported in the run.
    """

    shown = {"lake": without_keys(settings.lake_uri), "lock": str(settings.data_dir / LOCK)}

    @dg.io_manager(  # type: ignore[arg-type]  # Dagster closes the generator at the end of the run
        config_schema=shown_field(shown),
        description="Passes tables from asset to asset through the lake. Holds the build lock "
        "until the run ends, so that a second run waits.",
    )
    def tables(context: dg.InitResourceContext) -> Iterator[dg.IOManager]:
        from vox_assets.pipeline.resources.lake_io import LakeIOManager
        from vox_assets.store.lake import Lake

        refuse_other_values(context, shown)
        log = context.log.warning if context.log is not None else None
        with exclusive(settings.data_dir / LOCK, log), around_run(context):
            yield LakeIOManager(Lake(settings.lake_uri))

    return tables
