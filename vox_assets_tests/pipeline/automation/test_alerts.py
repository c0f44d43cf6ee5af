"""Tests the alerts of real runs, tick by tick, with a real HTTP receiver."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange
from dagster._core.test_utils import freeze_time

from vox_assets.extract import SourceError
from vox_assets.pipeline.automation.alerts import (
    REMIND_AFTER,
    SECONDS_AWAKE,
    ChannelState,
    alert_sensor,
    alert_sensors,
)
from vox_assets.pipeline.automation.history import COMMIT_TAG, LEAST_LATE_SECONDS, late_runs
from vox_assets.pipeline.resources.notifier import DeliveryError, Notifier
from vox_assets.settings import load_settings
from vox_assets_tests.receiver import Receiver, receiving

#: Behaviour of the asset and its checks in a run: which raise, fail or warn.
Behaviour = dict[str, object]
ROW = "fn transfer(from: Account) { secret_sauce() }"
PLACE = f"vox-assets, host {socket.gethostname()}, profile sample"
TOKEN = "sk-" + "a1B2" * 5 + "T3BlbkFJ" + "c3D4" * 5


class Deployment:
    """An instance with runs, and the alert sensor of a channel with its cursor."""

    def __init__(self, instance: dg.DagsterInstance, *urls: str) -> None:
        self.instance = instance
        self.notifier = Notifier(urls)
        self.settings = replace(load_settings({}), ui_url="http://ui.example")
        self.cursor: str | None = None

    def tick(self, channel: int = 1) -> str:
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources={"settings": self.settings, "notifier": self.notifier},
        )
        result = alert_sensor(channel)(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor or self.cursor
        return getattr(result.skip_reason, "skip_message", str(result.skip_reason))

    def run(self, behaviour: Behaviour, commit: str | None = "c0ffee1") -> dg.DagsterRun:
        """Run one asset with three checks that behave as given."""

        @dg.asset
        def training_mix() -> int:
            if isinstance(behaviour.get("asset"), Exception):
                raise behaviour["asset"]  # type: ignore[misc]
            return 1

        @dg.asset_check(asset=training_mix, blocking=True)
        def lane_policy() -> dg.AssetCheckResult:
            faults = int(behaviour.get("faults", 0))  # type: ignore[call-overload]
            return dg.AssetCheckResult(
                passed=not faults,
                description=f"{faults} rows outside the lane policy in 9: {ROW}",
                metadata={"faults": faults},
            )

        @dg.asset_check(asset=training_mix)
        def human_share() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(
                passed=not behaviour.get("warns"),
                severity=dg.AssetCheckSeverity.WARN,
                description="12% of the rows are human-written (at least 15% wanted)",
            )

        @dg.asset_check(asset=training_mix)
        def no_secrets() -> dg.AssetCheckResult:
            if behaviour.get("crashes"):
                raise ZeroDivisionError(ROW)
            return dg.AssetCheckResult(passed=True)

        @dg.asset(deps=[training_mix])
        def adapter() -> None:
            """Is built only from a mix that passes its blocking check."""

        defs = dg.Definitions(
            assets=[training_mix, adapter],
            asset_checks=[lane_policy, human_share, no_secrets],
            jobs=[dg.define_asset_job("rebuild")],
            executor=dg.in_process_executor,
        )
        result = defs.resolve_job_def("rebuild").execute_in_process(
            instance=self.instance,
            raise_on_error=False,
            tags={COMMIT_TAG: commit} if commit else {},
        )
        run = self.instance.get_run_by_id(result.run_id)
        assert run is not None
        return run


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def deployment(instance: dg.DagsterInstance, receiver: Receiver) -> Deployment:
    deployment = Deployment(instance, receiver.url)
    assert deployment.tick() == "alerts start at the next tick"
    return deployment


def test_a_failed_check_is_reported_with_its_figures_commit_and_run(
    deployment: Deployment, receiver: Receiver
) -> None:
    run = deployment.run({"faults": 3})
    deployment.tick()
    [alert] = receiver.mails
    assert alert["title"] == f"adapter not built: 1 failed ({PLACE}, build {run.run_id[:8]})"
    assert alert["type"] == "failure"
    link = f"http://ui.example/runs/{run.run_id}"
    assert alert["message"].splitlines() == [
        f"NOT BUILT adapter: build {run.run_id[:8]} of job rebuild ended before; {link}",
        "FAILED check training_mix:lane_policy: 3 rows outside the lane policy in 9; "
        f"since commit c0ffee1; {link}",
    ]


def test_a_successful_run_sends_no_message(deployment: Deployment, receiver: Receiver) -> None:
    deployment.run({})
    assert deployment.tick() == "nothing to report"
    assert receiver.mails == []


def test_a_warning_and_a_crashed_check_are_reported_as_such(
    deployment: Deployment, receiver: Receiver
) -> None:
    deployment.run({"warns": True, "crashes": True})
    deployment.tick()
    [alert] = receiver.mails
    assert alert["title"].startswith("1 crashed, 1 warning (vox-assets, ")
    assert [line.partition(";")[0] for line in alert["message"].splitlines()] == [
        "CRASHED check training_mix:no_secrets: no result: ZeroDivisionError",
        "WARNING check training_mix:human_share: 12% of the rows are human-written (at least 15% "
        "wanted)",
    ]
    assert alert["type"] == "failure"


def test_a_check_that_did_not_run_is_not_reported_as_crashed(
    deployment: Deployment, receiver: Receiver
) -> None:
    deployment.run({"asset": SourceError("/srv/vox/crates: no such folder")})
    deployment.tick()
    [alert] = receiver.mails
    assert alert["title"].startswith("training_mix and 1 more not built: 1 failed (vox-assets, ")
    assert alert["message"].startswith("NOT BUILT training_mix, adapter: build ")
    assert "FAILED step training_mix: /srv/vox/crates: no such folder" in alert["message"]


def test_a_message_contains_no_row_and_no_secret(
    deployment: Deployment, receiver: Receiver
) -> None:
    deployment.run({"faults": 1, "crashes": True})
    deployment.run({"asset": ValueError(f"cannot parse {ROW}")})
    deployment.tick()
    deployment.run({"asset": OSError(28, f"No space left on device {TOKEN}")})
    deployment.tick()
    assert "ZeroDivisionError" in receiver.bodies()
    assert "ValueError" in receiver.bodies()
    assert "secret_sauce" not in receiver.bodies()
    assert TOKEN not in receiver.bodies()


def test_a_run_without_a_commit_tag_is_reported_with_the_commit_of_the_tables(
    deployment: Deployment, receiver: Receiver
) -> None:
    deployment.instance.report_runless_asset_event(
        dg.AssetMaterialization("raw_rust_fns", metadata={"commit": "feed5ee"})
    )
    deployment.run({"faults": 3}, commit=None)
    deployment.tick()
    assert "since commit feed5ee" in receiver.bodies()


def test_a_recovery_is_reported_once_with_the_number_of_failures(
    deployment: Deployment, receiver: Receiver
) -> None:
    deployment.run({"faults": 3}, commit="bad")
    deployment.tick()
    deployment.run({"faults": 2}, commit="worse")
    deployment.tick()
    fixed = deployment.run({}, commit="good")
    deployment.tick()
    deployment.run({}, commit="good")
    deployment.tick()
    assert len(receiver.mails) == 2
    assert receiver.mails[1]["type"] == "success"
    assert receiver.mails[1]["title"].startswith("1 recovered (vox-assets, ")
    assert receiver.mails[1]["message"] == (
        "RECOVERED check training_mix:lane_policy passes again after 2 failures since commit bad; "
        f"http://ui.example/runs/{fixed.run_id}"
    )


def test_a_repeated_failure_is_counted_and_reported_again_after_a_day(
    deployment: Deployment, receiver: Receiver
) -> None:
    for _ in range(3):
        deployment.run({"faults": 3})
        deployment.tick()
    assert len(receiver.mails) == 1
    age_last_report(deployment)
    deployment.run({"faults": 5})
    deployment.tick()
    assert receiver.mails[1]["title"].startswith("adapter not built: 1 not recovered (")
    assert "STILL FAILED check training_mix:lane_policy, 4 times: 5 rows" in str(receiver.mails[1])


def test_a_warning_that_becomes_an_error_is_reported(
    deployment: Deployment, receiver: Receiver
) -> None:
    deployment.run({"warns": True})
    deployment.tick()
    assert receiver.mails[0]["type"] == "warning"
    state = ChannelState.model_validate_json(deployment.cursor or "")
    assert state.open["check training_mix:human_share"].severity == "WARN"
    deployment.run({"warns": True, "faults": 1})
    deployment.tick()
    warning, failure = (alert["title"].partition(" (")[0] for alert in receiver.mails)
    assert (warning, failure) == ("1 warning", "adapter not built: 1 failed")


def test_a_run_that_will_be_retried_is_not_reported(
    deployment: Deployment, receiver: Receiver
) -> None:
    run = deployment.instance.add_run(
        dg.DagsterRun(job_name="rebuild", status=dg.DagsterRunStatus.STARTED)
    )
    # The instance is configured to retry a run whose process died.
    deployment.instance.report_run_failed(run, "the process of the run has ended")
    assert deployment.tick() == "nothing to report"


def test_a_channel_that_is_down_fails_its_tick_and_later_receives_everything(
    deployment: Deployment, receiver: Receiver
) -> None:
    receiver.alive = False
    run = deployment.run({"faults": 3})
    assert run.status == dg.DagsterRunStatus.FAILURE
    for _ in range(2):
        with pytest.raises(
            DeliveryError, match="entry 1 of VOX_ALERT_URLS did not accept"
        ) as caught:
            deployment.tick()
        assert str(receiver.port) not in str(caught.value)
    deployment.run({"warns": True, "faults": 3})
    receiver.alive = True
    deployment.tick()
    [alert] = receiver.mails
    assert alert["title"].startswith("adapter not built: 1 failed, 1 warning (")
    assert deployment.tick() == "nothing to report"


def test_an_overdue_asset_and_its_recovery_are_reported(
    deployment: Deployment, receiver: Receiver
) -> None:
    deployment.run({})
    # A warning half a day before sends nothing.
    for state in (
        FreshnessState.WARN,
        FreshnessState.FAIL,
        FreshnessState.FAIL,
        FreshnessState.PASS,
    ):
        # The daemon reports this event when it evaluates a freshness policy.
        deployment.instance._report_runless_asset_event(
            FreshnessStateChange(
                key=dg.AssetKey("training_mix"),
                new_state=state,
                previous_state=FreshnessState.UNKNOWN,
                state_change_timestamp=time.time(),
            )
        )
        deployment.tick()
    first, second = receiver.mails
    assert first["title"] == f"1 overdue ({PLACE})"
    assert first["message"].startswith("OVERDUE training_mix: built 0.0 days ago, on ")
    assert first["message"].endswith("; http://ui.example/assets/training_mix")
    assert second["message"] == (
        "RECOVERED training_mix: it was built; http://ui.example/assets/training_mix"
    )


def test_a_run_that_waits_longer_than_usual_and_its_end_are_reported(
    deployment: Deployment, receiver: Receiver
) -> None:
    deployment.run({})
    # The earlier run took no time, so only the shortest late time counts.
    tags = {COMMIT_TAG: "c0ffee1"}
    recent, waiting = (
        dg.DagsterRun(job_name="rebuild", status=dg.DagsterRunStatus.NOT_STARTED, tags=tags)
        for _ in range(2)
    )
    for run, seconds, mails in ((recent, -60, 0), (waiting, 60, 1)):
        age = timedelta(seconds=LEAST_LATE_SECONDS + seconds)
        with freeze_time(datetime.now(UTC) - age):
            deployment.instance.add_run(run)
        deployment.tick()
        deployment.tick()
        assert len(receiver.mails) == mails
    [alert] = receiver.mails
    assert alert["type"] == "warning"
    assert alert["message"] == (
        "HUNG job rebuild: has not started after 31 minutes; earlier runs ended within less than "
        f"a minute; since commit c0ffee1; http://ui.example/runs/{waiting.run_id}"
    )
    deployment.instance.report_run_canceled(waiting)
    deployment.tick()
    assert receiver.mails[1]["message"] == (
        "RECOVERED job rebuild: the run that took longer than usual has ended; "
        f"http://ui.example/runs/{waiting.run_id}"
    )


def test_a_run_that_a_power_cut_ended_is_not_taken_for_a_hung_one(
    deployment: Deployment, receiver: Receiver
) -> None:
    hours = timedelta(hours=7)
    with freeze_time(datetime.now(UTC) - hours):
        deployment.instance.add_run(
            dg.DagsterRun(job_name="rebuild", status=dg.DagsterRunStatus.STARTED)
        )
    state = ChannelState.model_validate_json(deployment.cursor or "")
    # The last tick was before the power cut. Run monitoring now needs some ticks to notice.
    state.ticked_at -= hours.total_seconds()
    deployment.cursor = state.model_dump_json()
    deployment.tick()
    deployment.tick()
    assert receiver.mails == []
    # A run that is there still after that hangs.
    state = ChannelState.model_validate_json(deployment.cursor or "")
    state.awake_since -= SECONDS_AWAKE
    deployment.cursor = state.model_dump_json()
    deployment.tick()
    [alert] = receiver.mails
    assert alert["message"].startswith("HUNG job rebuild: has not ended after 420 minutes")


def test_a_run_whose_process_dies_has_crashed(deployment: Deployment, receiver: Receiver) -> None:
    tags = {COMMIT_TAG: "c0ffee1", "dagster/max_retries": "0"}
    run = deployment.instance.add_run(
        dg.DagsterRun(job_name="rebuild", status=dg.DagsterRunStatus.STARTED, tags=tags)
    )
    deployment.instance.report_run_failed(run, "the process of the run has ended")
    deployment.tick()
    [alert] = receiver.mails
    assert alert["title"] == f"1 crashed ({PLACE}, build {run.run_id[:8]})"
    assert alert["message"] == (
        "CRASHED job rebuild: ended outside of all steps, as a run does whose process is killed; "
        f"since commit c0ffee1; http://ui.example/runs/{run.run_id}"
    )


def test_a_failure_that_recovers_between_two_ticks_stops_nothing(
    deployment: Deployment, receiver: Receiver
) -> None:
    deployment.run({"faults": 3})
    deployment.run({})
    deployment.tick()
    [alert] = receiver.mails
    assert alert["title"].startswith("1 recovered (")
    assert "NOT BUILT" not in alert["message"]


def test_a_state_that_an_older_version_stored_is_read(
    deployment: Deployment, receiver: Receiver
) -> None:
    problem = {"severity": "ERROR", "detail": "3 rows", "commit": "bad", "told_at": time.time()}
    state = {"until": time.time(), "open": {"check training_mix:lane_policy": problem}}
    deployment.cursor = json.dumps(state)
    deployment.run({})
    deployment.tick()
    assert "RECOVERED check training_mix:lane_policy passes again after 1 failure since" in (
        receiver.bodies()
    )


def test_a_run_is_late_by_the_time_of_earlier_runs_of_its_job(deployment: Deployment) -> None:
    instance = deployment.instance
    now = datetime.now(UTC)
    hours = timedelta(hours=1)
    done = dg.DagsterRun(job_name="rebuild", status=dg.DagsterRunStatus.STARTED)
    with freeze_time(now - 20 * hours):
        instance.add_run(done)
    with freeze_time(now - 19 * hours):
        instance.report_dagster_event(
            dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, "rebuild"), done.run_id
        )
    running = dg.DagsterRun(job_name="rebuild", status=dg.DagsterRunStatus.STARTED)
    unknown = dg.DagsterRun(job_name="retrain", status=dg.DagsterRunStatus.NOT_STARTED)
    with freeze_time(now):
        instance.add_run(running)
        instance.add_run(unknown)

    def late(after: timedelta) -> list[str]:
        runs = late_runs(instance, (now + after).timestamp())
        return [item.run.job_name for item in runs]

    assert late(1.9 * hours) == []
    assert late(2.1 * hours) == ["rebuild"]
    assert late(5.9 * hours) == ["rebuild"]
    assert late(6.1 * hours) == ["rebuild", "retrain"]


def test_the_error_of_a_refused_url_names_only_its_number(deployment: Deployment) -> None:
    deployment.notifier = Notifier(("nonesuch://secret-token",))
    deployment.run({"faults": 3})
    with pytest.raises(DeliveryError, match="entry 1 of VOX_ALERT_URLS is refused") as caught:
        deployment.tick()
    assert "secret-token" not in str(caught.value)


def test_each_channel_has_a_sensor_and_without_channels_the_tick_reports_it(
    deployment: Deployment,
) -> None:
    assert [sensor.name for sensor in alert_sensors(("json://a", "json://b"))] == [
        "alert_channel_1",
        "alert_channel_2",
    ]
    assert len(alert_sensors(())) == 1
    deployment.notifier = Notifier(())
    assert "VOX_ALERT_URLS is not set" in deployment.tick()


def age_last_report(deployment: Deployment) -> None:
    """Move the last report of each problem back by REMIND_AFTER."""
    state = ChannelState.model_validate_json(deployment.cursor or "")
    for problem in state.open.values():
        problem.told_at -= REMIND_AFTER.total_seconds()
    deployment.cursor = state.model_dump_json()
