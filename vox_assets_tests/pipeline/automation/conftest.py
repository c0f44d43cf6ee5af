"""Fixtures with a Dagster instance on SQLite and, in the slow tests, also on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import dagster as dg
import pytest

from vox_assets.pipeline.automation.instance import configuration
from vox_assets_tests.postgres import postgres


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def storage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dg.DagsterInstance]:
    with ExitStack() as stack:
        if request.param == "postgres":
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setenv("DAGSTER_POSTGRES_URL", stack.enter_context(postgres()))
        home = tmp_path_factory.mktemp("home")
        (home / "dagster.yaml").write_text(configuration(request.param == "postgres"))
        yield stack.enter_context(dg.DagsterInstance.from_config(str(home)))


@pytest.fixture
def instance(storage: dg.DagsterInstance) -> dg.DagsterInstance:
    """Wipe the storage for each test."""
    storage.wipe()
    return storage
