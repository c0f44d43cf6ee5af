"""Finds or creates the home of the Dagster instance, and writes its configuration.

`python -m vox_assets.pipeline.automation.instance` does this for `make` and for services, so that
every way to start a build uses the same runs, queue and retention.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vox_assets import extras
from vox_assets.extract import SourceError
from vox_assets.settings import Settings, SettingsError, load_settings
from vox_assets.store.files import write_text

if TYPE_CHECKING:
    import dagster as dg

CONFIGURATION = "dagster.yaml"
#: Variable that the configuration for PostgreSQL reads.
POSTGRES_VARIABLE = "DAGSTER_POSTGRES_URL"
_FOLDER = Path(__file__).parent


def configuration(with_postgres: bool) -> str:
    """Return the content of `dagster.yaml`: SQLite below the home, or PostgreSQL."""
    parts = [CONFIGURATION, *(["postgres.yaml"] if with_postgres else [])]
    return "".join((_FOLDER / part).read_text(encoding="utf-8") for part in parts)


def prepare_home(settings: Settings) -> Path:
    """Create the home where it is missing, write its configuration, and return its path.

    The home below VOX_DATA_DIR always gets the current configuration. Another folder that
    DAGSTER_HOME names may belong to other code locations too, so nothing is written there. Raises
    SettingsError when that folder is missing, the home cannot be written, or PostgreSQL is
    configured without its extra.
    """
    if settings.with_postgres and not extras.installed("postgres"):
        raise SettingsError(
            f"DAGSTER_POSTGRES_URL: dagster-postgres is not installed: type "
            f"{extras.command('postgres')}"
        )
    home = settings.dagster_home
    if home != settings.own_dagster_home:
        if not home.is_dir():
            raise SettingsError(
                f"DAGSTER_HOME: {home} is not a directory: expected the home of a Dagster "
                f"instance; unset it for {settings.own_dagster_home}"
            )
        return home
    try:
        write_text(home / CONFIGURATION, configuration(settings.with_postgres))
    except OSError as error:
        raise SettingsError(
            f"VOX_DATA_DIR: {home} cannot be written ({error.strerror}): expected a directory to "
            f"write to"
        ) from error
    return home


class InstanceError(Exception):
    """The storage of the Dagster instance cannot be used; the message is one line."""


@contextmanager
def opened(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Yield the configured instance. Raises InstanceError when its storage cannot be used."""
    import dagster as dg

    with ExitStack() as stack:
        # Dagster retries a connection for 20 s and logs every attempt, with the address.
        logging.disable(logging.CRITICAL)
        try:
            home = str(settings.dagster_home)
            instance = stack.enter_context(dg.DagsterInstance.from_config(home))
            # Opening reads no rows, and a damaged database fails only when it is read.
            instance.get_run_records(limit=1)
        # Each storage raises errors of its own library, which may not be installed.
        except Exception as error:
            raise InstanceError(_fault(settings, error)) from error
        finally:
            logging.disable(logging.NOTSET)
        yield instance


def _fault(settings: Settings, error: Exception) -> str:
    """Say in one line why the instance cannot be opened, without the address of its database."""
    configured = settings.dagster_home / CONFIGURATION
    try:
        needs_postgres = POSTGRES_VARIABLE in configured.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        needs_postgres = False
    if not needs_postgres:
        return (
            f"{settings.dagster_home}: the Dagster instance cannot be opened "
            f"({type(error).__name__}): expected a valid {CONFIGURATION} and undamaged databases"
        )
    if settings.with_postgres:
        return (
            f"{POSTGRES_VARIABLE}: the database does not answer ({type(error).__name__}): expected "
            f"a running PostgreSQL server and a valid login"
        )
    return (
        f"{POSTGRES_VARIABLE}: is not set, but {configured} reads it: expected the address of the "
        f"database that holds the runs"
    )


def main() -> int:
    """Prepare the home of the configured instance, print its path and return the exit code."""
    try:
        print(prepare_home(load_settings()))
    except (SettingsError, SourceError) as error:
        print(f"vox-assets: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
