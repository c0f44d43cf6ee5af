"""One run for one change, tried again when it fails, driven tick by tick on a real instance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from vox_assets.automation.jobs import REBUILD_OF
from vox_assets.automation.sensors import ATTEMPTS, source_sensor
from vox_assets.resources.settings import Settings, load_settings

JOB = REBUILD_OF["crates"].name


class Ticker:
    """The sensor, its cursor and an instance whose runs end as the test says."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.settings, self.instance = settings, instance
        self.sensor = source_sensor("crates", "crates")
        self.cursor: str | None = None
        self.keys: set[str] = set()

    def tick(self) -> dg.SensorResult:
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources={"settings": self.settings}
        )
        result = self.sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor if result.cursor is not None else self.cursor
        return result

    def launch(self, request: dg.RunRequest, status: dg.DagsterRunStatus) -> None:
        """What the daemon does with a request, its rule about run keys included."""
        assert request.run_key not in self.keys
        self.keys.add(str(request.run_key))
        self.instance.add_run(
            dg.DagsterRun(
                job_name=JOB,
                run_id=f"run-{len(self.keys)}",
                status=status,
                tags=dict(request.tags),
            )
        )


@pytest.fixture
def crates(tmp_path: Path) -> Path:
    folder = tmp_path / "tree" / "crates" / "a" / "src"
    folder.mkdir(parents=True)
    (folder / "lib.rs").write_text("fn f() {}")
    return folder


@pytest.fixture
def ticker(tmp_path: Path, crates: Path) -> Iterator[Ticker]:
    settings = load_settings({"VOX_SOURCE_DIR": str(tmp_path / "tree")})
    with dg.instance_for_test() as instance:
        yield Ticker(settings, instance)


def requests(result: dg.SensorResult) -> list[dg.RunRequest]:
    return list(result.run_requests or ())


def test_a_change_waits_until_it_has_come_to_rest(ticker: Ticker, crates: Path) -> None:
    assert requests(ticker.tick()) == []
    (crates / "lib.rs").write_text("fn g() {}")
    assert requests(ticker.tick()) == []
    assert len(requests(ticker.tick())) == 1


def test_one_change_gives_one_run_and_success_ends_it(ticker: Ticker) -> None:
    ticker.tick()
    [request] = requests(ticker.tick())
    ticker.launch(request, dg.DagsterRunStatus.SUCCESS)
    for _ in range(3):
        assert requests(ticker.tick()) == []
    assert "as it was built" in str(ticker.tick().skip_reason)


def test_no_second_run_while_the_first_goes_on(ticker: Ticker) -> None:
    ticker.tick()
    [request] = requests(ticker.tick())
    ticker.launch(request, dg.DagsterRunStatus.STARTED)
    assert "being built" in str(ticker.tick().skip_reason)


def test_a_failed_run_is_tried_again_and_then_left_to_people(ticker: Ticker) -> None:
    ticker.tick()
    for _ in range(ATTEMPTS):
        [request] = requests(ticker.tick())
        ticker.launch(request, dg.DagsterRunStatus.FAILURE)
    result = ticker.tick()
    assert requests(result) == []
    assert f"failed {ATTEMPTS} times" in str(result.skip_reason)


def test_a_mended_source_is_built_after_failures(ticker: Ticker, crates: Path) -> None:
    ticker.tick()
    for _ in range(ATTEMPTS):
        [request] = requests(ticker.tick())
        ticker.launch(request, dg.DagsterRunStatus.FAILURE)
    (crates / "lib.rs").write_text("fn mended() {}")
    ticker.tick()
    assert len(requests(ticker.tick())) == 1


def test_the_source_asset_shows_version_files_and_commit(ticker: Ticker) -> None:
    ticker.tick()
    [event] = ticker.tick().asset_events
    assert isinstance(event, dg.AssetMaterialization)
    assert event.asset_key == dg.AssetKey("crates")
    assert event.metadata["files"].value == 1
    assert event.metadata["commit"].value == "not in git"
    assert len(event.tags["dagster/data_version"]) == 32
