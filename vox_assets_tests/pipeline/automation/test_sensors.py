"""One run for one change, tried again when it fails, driven tick by tick on a real instance."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from vox_assets import profiles
from vox_assets.pipeline.automation import history
from vox_assets.pipeline.automation.fingerprint import WATCHED
from vox_assets.pipeline.automation.schedules import REBUILD_ANYWAY_AFTER_DAYS, nightly_schedule
from vox_assets.pipeline.automation.sensors import ATTEMPTS, DATA_VERSION_TAG, source_sensor
from vox_assets.settings import Settings, load_settings

SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE


class Deployment:
    """The sensors with their cursors, and an instance whose runs end as the test says."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.settings, self.instance = settings, instance
        self.sensors = {source: source_sensor(source) for source in WATCHED}
        self.cursors: dict[str, str | None] = {}
        self.keys: set[str | None] = set()
        self.reasons: dict[str, str] = {}
        self.events: list[dg.AssetMaterialization] = []

    def tick(self) -> list[dg.RunRequest]:
        """One tick of every sensor, as the daemon does it; what they ask for."""
        asked: list[dg.RunRequest] = []
        for source, sensor in self.sensors.items():
            context = dg.build_sensor_context(
                instance=self.instance,
                cursor=self.cursors.get(source),
                resources={"settings": self.settings},
            )
            result = sensor(context)
            assert isinstance(result, dg.SensorResult)
            self.cursors[source] = result.cursor or self.cursors.get(source)
            reason = result.skip_reason
            self.reasons[source] = (reason.skip_message if reason else None) or ""
            for event in result.asset_events:
                assert isinstance(event, dg.AssetMaterialization)
                self.instance.report_runless_asset_event(event)
                self.events.append(event)
            asked += result.run_requests or ()
        return asked

    def rest(self) -> list[dg.RunRequest]:
        """Ticks until a change that was just made has come to rest."""
        assert self.tick() == []
        return self.tick()

    def launch(self, request: dg.RunRequest, status: dg.DagsterRunStatus) -> None:
        """What the daemon does with a request, its rule about run keys included."""
        assert request.run_key is None or request.run_key not in self.keys
        self.keys.add(request.run_key)
        run = dg.DagsterRun(
            job_name=request.job_name or "rebuild",
            run_id=f"run-{len(self.instance.get_runs())}",
            status=status,
            tags=dict(request.tags),
        )
        self.instance.add_run(run)

    def build(self) -> None:
        """A first good build of everything."""
        [request] = self.rest()
        self.launch(request, SUCCESS)

    def at_two(self) -> dg.RunRequest | dg.SkipReason:
        context = dg.build_schedule_context(
            instance=self.instance, resources={"settings": self.settings}
        )
        return nightly_schedule("UTC")(context)  # type: ignore[return-value]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for path, text in {
        "crates/a/src/lib.rs": "fn f() {}",
        "docs/src/index.md": "# Page\n\n```vox\n{{#include ../../examples/a.vox}}\n```\n",
        "examples/a.vox": "fn a() to int { return 1 }",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


@pytest.fixture
def deployment(tmp_path: Path, tree: Path, instance: dg.DagsterInstance) -> Deployment:
    profile = tmp_path / "own.yaml"
    shutil.copy(profiles.PROFILE_DIR / "sample.yaml", profile)
    settings = load_settings({"VOX_SOURCE_DIR": str(tree), "VOX_PROFILE": str(profile)})
    return Deployment(settings, instance)


def edit(tree: Path, path: str, text: str) -> None:
    (tree / path).write_text(text)


def test_a_fresh_deployment_builds_everything_once(deployment: Deployment) -> None:
    [request] = deployment.rest()
    assert request.job_name == "rebuild"
    deployment.launch(request, SUCCESS)
    assert deployment.tick() == []
    assert set(deployment.reasons.values()) == {f"{source} as it was built" for source in WATCHED}


def test_a_checkout_in_progress_starts_nothing(deployment: Deployment, tree: Path) -> None:
    deployment.build()
    for step in range(3):
        edit(tree, "crates/a/src/lib.rs", f"fn f{step}() {{}}")
        assert deployment.tick() == []
    assert len(deployment.tick()) == 1


@pytest.mark.parametrize(
    ("path", "job"),
    [
        ("crates/a/src/lib.rs", "rebuild_after_crates"),
        ("docs/src/index.md", "rebuild_after_docs"),
        ("examples/a.vox", "rebuild_after_docs"),
    ],
)
def test_only_what_depends_on_the_changed_side_is_rebuilt(
    deployment: Deployment, tree: Path, path: str, job: str
) -> None:
    deployment.build()
    with (tree / path).open("a") as file:
        file.write("// changed\n")
    assert [request.job_name for request in deployment.rest()] == [job]


def test_a_change_of_both_sides_is_one_run(deployment: Deployment, tree: Path) -> None:
    deployment.build()
    edit(tree, "crates/a/src/lib.rs", "fn g() {}")
    edit(tree, "docs/src/index.md", "# Other\n")
    assert [request.job_name for request in deployment.rest()] == ["rebuild"]
    assert "left to crates_changed" in deployment.reasons["docs"]


def test_a_changed_policy_rebuilds_everything(deployment: Deployment) -> None:
    deployment.build()
    profile = Path(deployment.settings.profile_reference)
    profile.write_text(profile.read_text().replace("threshold: 7.0", "threshold: 6.5"))
    assert [request.job_name for request in deployment.rest()] == ["rebuild"]


def test_a_policy_that_does_not_load_is_the_reason_for_waiting(deployment: Deployment) -> None:
    deployment.build()
    Path(deployment.settings.profile_reference).write_text("name: half\n")
    assert deployment.rest() == []
    assert "language" in deployment.reasons["profile"]


def test_no_second_run_while_the_first_goes_on(deployment: Deployment, tree: Path) -> None:
    [request] = deployment.rest()
    deployment.launch(request, dg.DagsterRunStatus.STARTED)
    assert deployment.tick() == []
    edit(tree, "docs/src/index.md", "# Other\n")
    assert deployment.rest() == []
    assert "is building" in deployment.reasons["crates"]


def test_a_build_that_died_is_left_to_the_daemon_as_long_as_it_may_start_it_again(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    [request] = deployment.rest()
    deployment.launch(request, dg.DagsterRunStatus.STARTED)
    [run] = deployment.instance.get_runs()
    # The instance is set up to try it once more.
    deployment.instance.report_run_failed(run, "its process is gone")
    assert deployment.tick() == []
    assert "is building" in deployment.reasons["crates"]
    monkeypatch.setattr(history, "SECONDS_UNTIL_STARTED_AGAIN", 0.0)
    assert len(deployment.tick()) == 1


def test_a_failed_run_is_tried_again_and_then_left_to_people(deployment: Deployment) -> None:
    deployment.tick()
    for _ in range(ATTEMPTS):
        [request] = deployment.tick()
        deployment.launch(request, FAILURE)
    assert deployment.tick() == []
    assert f"failed {ATTEMPTS} times" in deployment.reasons["crates"]


def test_a_run_that_a_blocking_check_ended_is_not_repeated(
    deployment: Deployment, tree: Path
) -> None:
    @dg.asset
    def training_mix() -> int:
        return 1

    @dg.asset_check(asset=training_mix, blocking=True)
    def lane_policy() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False)

    [request] = deployment.rest()
    # A real run, because the verdict is read off its events.
    defs = dg.Definitions(
        assets=[training_mix],
        asset_checks=[lane_policy],
        jobs=[dg.define_asset_job("rebuild")],
        executor=dg.in_process_executor,
    )
    result = defs.resolve_job_def("rebuild").execute_in_process(
        instance=deployment.instance, raise_on_error=False, tags=request.tags
    )
    assert not result.success
    assert deployment.tick() == []
    assert "refused by training_mix:lane_policy" in deployment.reasons["crates"]
    edit(tree, "crates/a/src/lib.rs", "fn mended() {}")
    assert len(deployment.rest()) == 1


def test_a_mended_source_is_built_after_failures(deployment: Deployment, tree: Path) -> None:
    deployment.tick()
    for _ in range(ATTEMPTS):
        [request] = deployment.tick()
        deployment.launch(request, FAILURE)
    edit(tree, "crates/a/src/lib.rs", "fn mended() {}")
    assert len(deployment.rest()) == 1


def test_a_change_that_failed_and_was_taken_back_is_built_again(
    deployment: Deployment, tree: Path
) -> None:
    deployment.build()
    before = (tree / "crates/a/src/lib.rs").read_text()
    edit(tree, "crates/a/src/lib.rs", "fn broken() {}")
    [request] = deployment.rest()
    deployment.launch(request, FAILURE)
    # The failed run may have replaced raw_rust_fns: the good build is no longer what is there.
    edit(tree, "crates/a/src/lib.rs", before)
    [request] = deployment.rest()
    deployment.launch(request, SUCCESS)
    assert deployment.tick() == []


def test_the_source_assets_show_version_files_and_commit_once(
    deployment: Deployment, tree: Path
) -> None:
    deployment.build()
    deployment.tick()
    crates, docs = deployment.events
    assert [crates.asset_key.to_user_string(), docs.asset_key.to_user_string()] == [
        "crates",
        "docs",
    ]
    assert crates.metadata["files"].value == 1
    assert docs.metadata["files"].value == 2
    assert crates.metadata["commit"].value == "not in git"
    edit(tree, "crates/a/src/lib.rs", "fn g() {}")
    deployment.rest()
    assert [event.asset_key.to_user_string() for event in deployment.events[2:]] == ["crates"]
    versions = {event.tags[DATA_VERSION_TAG] for event in deployment.events}
    assert len(versions) == 3


def test_all_sensors_together_read_each_file_once(deployment: Deployment, tree: Path) -> None:
    files = {str(path) for path in tree.rglob("*") if path.is_file()}
    opened: list[str] = []
    listening = True

    def listen(event: str, arguments: tuple[object, ...]) -> None:
        if listening and event == "open" and str(arguments[0]) in files:
            opened.append(str(arguments[0]))

    # A file that changed a moment ago may change again unnoticed: it is read by every sensor.
    time.sleep(2.1)
    sys.addaudithook(listen)
    try:
        deployment.tick()
        assert sorted(opened) == sorted(files)
        opened.clear()
        deployment.tick()
        assert opened == []
    finally:
        listening = False


def test_a_missing_folder_is_named_and_nothing_is_started(
    deployment: Deployment, tree: Path
) -> None:
    deployment.build()
    shutil.rmtree(tree / "crates")
    assert deployment.rest() == []
    assert "no such folder" in deployment.reasons["crates"]


def test_the_nightly_run_is_skipped_when_nothing_has_changed(
    deployment: Deployment, tree: Path
) -> None:
    first = deployment.at_two()
    assert isinstance(first, dg.RunRequest)
    deployment.launch(first, SUCCESS)
    end(deployment, days_ago=0)
    skipped = deployment.at_two()
    assert isinstance(skipped, dg.SkipReason)
    assert "nothing has changed since run run-0" in str(skipped.skip_message)
    assert deployment.rest() == []
    edit(tree, "docs/src/index.md", "# Other\n")
    assert isinstance(deployment.at_two(), dg.RunRequest)


def test_the_nightly_run_follows_a_failed_build(deployment: Deployment, tree: Path) -> None:
    first = deployment.at_two()
    assert isinstance(first, dg.RunRequest)
    deployment.launch(first, FAILURE)
    assert isinstance(deployment.at_two(), dg.RunRequest)


def test_once_a_week_the_nightly_run_goes_through_all_the_same(deployment: Deployment) -> None:
    first = deployment.at_two()
    assert isinstance(first, dg.RunRequest)
    deployment.launch(first, SUCCESS)
    end(deployment, days_ago=REBUILD_ANYWAY_AFTER_DAYS)
    assert isinstance(deployment.at_two(), dg.RunRequest)


def test_a_nightly_run_without_sources_starts_so_that_somebody_is_told(
    deployment: Deployment, tree: Path
) -> None:
    shutil.rmtree(tree / "docs")
    request = deployment.at_two()
    assert isinstance(request, dg.RunRequest)
    assert history.BUILD_TAG not in request.tags


def end(deployment: Deployment, days_ago: float) -> None:
    """Let the newest run have ended then, as the event log of a run that was executed says it."""
    [record] = deployment.instance.get_run_records(limit=1)
    when = time.time() - days_ago * 86_400
    deployment.instance.handle_new_event(
        dg.EventLogEntry(
            error_info=None,
            user_message="",
            level="debug",
            run_id=record.dagster_run.run_id,
            timestamp=when,
            dagster_event=dg.DagsterEvent(
                event_type_value=dg.DagsterEventType.RUN_SUCCESS.value,
                job_name=record.dagster_run.job_name,
            ),
        )
    )
