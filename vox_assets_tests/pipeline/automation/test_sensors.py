"""Tests tick by tick on a real instance that one change requests one run and one retry."""

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
from vox_assets.pipeline.automation.sensors import ATTEMPTS, source_sensor
from vox_assets.pipeline.automation.source_versions import DATA_VERSION_TAG
from vox_assets.settings import Settings, load_settings

SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE
CANCELED = dg.DagsterRunStatus.CANCELED


class Deployment:
    """The sensors with their cursors, and an instance whose runs end with a given status."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.settings, self.instance = settings, instance
        self.sensors = {source: source_sensor(source) for source in WATCHED}
        self.cursors: dict[str, str | None] = {}
        self.run_keys: set[str | None] = set()
        self.reasons: dict[str, str] = {}
        self.events: list[dg.AssetMaterialization] = []

    def tick(self) -> list[dg.RunRequest]:
        """Evaluate every sensor once, as the daemon does; return their run requests."""
        requests: list[dg.RunRequest] = []
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
            requests += result.run_requests or ()
        return requests

    def tick_twice(self) -> list[dg.RunRequest]:
        """Let two ticks see the latest change; return the run requests of the second."""
        assert self.tick() == []
        return self.tick()

    def launch(self, request: dg.RunRequest, status: dg.DagsterRunStatus) -> None:
        """Add the run of a request, as the daemon does, but refuse a repeated run key."""
        assert request.run_key is None or request.run_key not in self.run_keys
        self.run_keys.add(request.run_key)
        run = dg.DagsterRun(
            job_name=request.job_name or "rebuild",
            run_id=f"run-{len(self.instance.get_runs())}",
            status=status,
            tags=dict(request.tags),
        )
        self.instance.add_run(run)

    def build(self) -> None:
        """Add a successful build of everything."""
        [request] = self.tick_twice()
        self.launch(request, SUCCESS)

    def nightly_tick(self) -> dg.RunRequest | dg.SkipReason:
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


def test_a_new_deployment_builds_everything_once(deployment: Deployment) -> None:
    [request] = deployment.tick_twice()
    assert request.job_name == "rebuild"
    deployment.launch(request, SUCCESS)
    assert deployment.tick() == []
    assert set(deployment.reasons.values()) == {
        f"no change in {source} since the last build" for source in WATCHED
    }


def test_the_ui_shows_three_tags_of_a_build_and_no_digest(deployment: Deployment) -> None:
    [request] = deployment.tick_twice()
    hidden_or_of_dagster = (".dagster/", "dagster/")
    shown = {
        name: value
        for name, value in request.tags.items()
        if not name.startswith(hidden_or_of_dagster)
    }
    assert shown == {
        "vox/build": "everything",
        "vox/commit": "not in git",
        "vox/profile": "sample",
    }
    assert len(request.tags) > len(shown) + len(WATCHED)


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
def test_only_dependents_of_the_changed_side_are_rebuilt(
    deployment: Deployment, tree: Path, path: str, job: str
) -> None:
    deployment.build()
    with (tree / path).open("a") as file:
        file.write("// changed\n")
    assert [request.job_name for request in deployment.tick_twice()] == [job]


def test_a_change_of_both_sides_starts_one_run(deployment: Deployment, tree: Path) -> None:
    deployment.build()
    edit(tree, "crates/a/src/lib.rs", "fn g() {}")
    edit(tree, "docs/src/index.md", "# Other\n")
    assert [request.job_name for request in deployment.tick_twice()] == ["rebuild"]
    assert "crates_changed requests a build of everything" in deployment.reasons["docs"]


def test_a_changed_profile_rebuilds_everything(deployment: Deployment) -> None:
    deployment.build()
    profile = Path(deployment.settings.profile_reference)
    profile.write_text(profile.read_text().replace("threshold: 7.0", "threshold: 6.5"))
    assert [request.job_name for request in deployment.tick_twice()] == ["rebuild"]


def test_a_profile_that_does_not_load_is_the_skip_reason(deployment: Deployment) -> None:
    deployment.build()
    Path(deployment.settings.profile_reference).write_text("name: half\n")
    assert deployment.tick_twice() == []
    assert "language" in deployment.reasons["profile"]


def test_no_second_run_starts_while_the_first_is_running(
    deployment: Deployment, tree: Path
) -> None:
    [request] = deployment.tick_twice()
    deployment.launch(request, dg.DagsterRunStatus.STARTED)
    assert deployment.tick() == []
    edit(tree, "docs/src/index.md", "# Other\n")
    assert deployment.tick_twice() == []
    assert "is building" in deployment.reasons["crates"]


def test_sensors_wait_for_the_daemon_to_retry_a_build_whose_process_died(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    [request] = deployment.tick_twice()
    deployment.launch(request, dg.DagsterRunStatus.STARTED)
    [run] = deployment.instance.get_runs()
    # The instance is configured to retry a run whose process died.
    deployment.instance.report_run_failed(run, "the process of the run has ended")
    assert deployment.tick() == []
    assert "is building" in deployment.reasons["crates"]
    monkeypatch.setattr(history, "RETRY_GRACE_SECONDS", 0.0)
    assert len(deployment.tick()) == 1


def test_a_failed_run_is_retried_once_and_then_needs_a_person(deployment: Deployment) -> None:
    deployment.tick()
    for _ in range(ATTEMPTS):
        [request] = deployment.tick()
        deployment.launch(request, FAILURE)
    assert deployment.tick() == []
    assert f"failed {ATTEMPTS} times" in deployment.reasons["crates"]


def test_a_run_that_a_blocking_check_ended_is_not_retried(
    deployment: Deployment, tree: Path
) -> None:
    @dg.asset
    def training_mix() -> int:
        return 1

    @dg.asset_check(asset=training_mix, blocking=True)
    def lane_policy() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False)

    [request] = deployment.tick_twice()
    # A real run, because the sensor reads the check's result from its events.
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
    assert "blocked by training_mix:lane_policy" in deployment.reasons["crates"]
    edit(tree, "crates/a/src/lib.rs", "fn fixed() {}")
    assert len(deployment.tick_twice()) == 1


def test_a_build_that_a_person_cancelled_starts_again_only_after_a_change(
    deployment: Deployment, tree: Path
) -> None:
    deployment.build()
    edit(tree, "docs/src/index.md", "# Other\n")
    [request] = deployment.tick_twice()
    deployment.launch(request, CANCELED)
    for _ in range(3):
        assert deployment.tick() == []
    assert "run run-1 was cancelled" in deployment.reasons["docs"]
    edit(tree, "docs/src/index.md", "# Third\n")
    assert [request.job_name for request in deployment.tick_twice()] == ["rebuild_after_docs"]


def test_a_cancelled_build_does_not_count_as_a_failure(deployment: Deployment, tree: Path) -> None:
    deployment.build()
    edit(tree, "docs/src/index.md", "# Other\n")
    [request] = deployment.tick_twice()
    deployment.launch(request, CANCELED)
    # A person launches the build after all, and it fails once.
    deployment.launch(dg.RunRequest(job_name=request.job_name, tags=request.tags), FAILURE)
    [retry] = deployment.tick()
    deployment.launch(retry, FAILURE)
    assert deployment.tick() == []
    assert f"failed {ATTEMPTS} times" in deployment.reasons["docs"]


def test_the_nightly_run_builds_what_a_person_cancelled(deployment: Deployment) -> None:
    [request] = deployment.tick_twice()
    deployment.launch(request, CANCELED)
    assert isinstance(deployment.nightly_tick(), dg.RunRequest)


def test_a_fixed_source_is_built_after_failures(deployment: Deployment, tree: Path) -> None:
    deployment.tick()
    for _ in range(ATTEMPTS):
        [request] = deployment.tick()
        deployment.launch(request, FAILURE)
    edit(tree, "crates/a/src/lib.rs", "fn fixed() {}")
    assert len(deployment.tick_twice()) == 1


def test_the_old_content_is_rebuilt_after_a_failed_change_is_reverted(
    deployment: Deployment, tree: Path
) -> None:
    deployment.build()
    before = (tree / "crates/a/src/lib.rs").read_text()
    edit(tree, "crates/a/src/lib.rs", "fn broken() {}")
    [request] = deployment.tick_twice()
    deployment.launch(request, FAILURE)
    # The failed run may have replaced raw_rust_fns, so the lake may differ from the good build.
    edit(tree, "crates/a/src/lib.rs", before)
    [request] = deployment.tick_twice()
    deployment.launch(request, SUCCESS)
    assert deployment.tick() == []


def test_each_version_of_a_source_asset_is_reported_once_with_files_and_commit(
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
    deployment.tick_twice()
    assert [event.asset_key.to_user_string() for event in deployment.events[2:]] == ["crates"]
    versions = {event.tags[DATA_VERSION_TAG] for event in deployment.events}
    assert len(versions) == 3


def test_a_version_that_is_already_known_is_not_reported_again(deployment: Deployment) -> None:
    deployment.build()
    deployment.tick()
    # A sensor whose cursor is new, as after a change of the code location's name.
    deployment.cursors.clear()
    deployment.tick()
    deployment.tick()
    assert len(deployment.events) == 2


def test_all_sensors_together_read_each_file_once(deployment: Deployment, tree: Path) -> None:
    files = {str(path) for path in tree.rglob("*") if path.is_file()}
    opened: list[str] = []
    recording = True

    def record(event: str, arguments: tuple[object, ...]) -> None:
        if recording and event == "open" and str(arguments[0]) in files:
            opened.append(str(arguments[0]))

    # Contents of recently changed files are not cached, so every sensor would read them.
    time.sleep(2.1)
    sys.addaudithook(record)
    try:
        deployment.tick()
        assert sorted(opened) == sorted(files)
        opened.clear()
        deployment.tick()
        assert opened == []
    finally:
        recording = False


def test_a_missing_folder_is_the_skip_reason(deployment: Deployment, tree: Path) -> None:
    deployment.build()
    shutil.rmtree(tree / "crates")
    assert deployment.tick_twice() == []
    assert "no such folder" in deployment.reasons["crates"]


def test_the_nightly_run_is_skipped_when_nothing_has_changed(
    deployment: Deployment, tree: Path
) -> None:
    first = deployment.nightly_tick()
    assert isinstance(first, dg.RunRequest)
    deployment.launch(first, SUCCESS)
    end_newest_run(deployment, days_ago=0)
    skipped = deployment.nightly_tick()
    assert isinstance(skipped, dg.SkipReason)
    assert "nothing has changed since run run-0" in str(skipped.skip_message)
    assert deployment.tick_twice() == []
    edit(tree, "docs/src/index.md", "# Other\n")
    assert isinstance(deployment.nightly_tick(), dg.RunRequest)


def test_the_nightly_run_starts_after_a_failed_build(deployment: Deployment, tree: Path) -> None:
    first = deployment.nightly_tick()
    assert isinstance(first, dg.RunRequest)
    deployment.launch(first, FAILURE)
    assert isinstance(deployment.nightly_tick(), dg.RunRequest)


def test_the_nightly_run_starts_once_a_week_even_without_a_change(deployment: Deployment) -> None:
    first = deployment.nightly_tick()
    assert isinstance(first, dg.RunRequest)
    deployment.launch(first, SUCCESS)
    end_newest_run(deployment, days_ago=REBUILD_ANYWAY_AFTER_DAYS)
    assert isinstance(deployment.nightly_tick(), dg.RunRequest)


def test_a_nightly_run_without_sources_starts_so_that_its_failure_is_reported(
    deployment: Deployment, tree: Path
) -> None:
    shutil.rmtree(tree / "docs")
    request = deployment.nightly_tick()
    assert isinstance(request, dg.RunRequest)
    assert history.BUILD_TAG not in request.tags


def end_newest_run(deployment: Deployment, days_ago: float) -> None:
    """Store the event that the newest run succeeded `days_ago`."""
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
