"""Tests the pings of ticks and builds with a real HTTP receiver."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from vox_assets.pipeline.automation import heartbeat as module
from vox_assets.pipeline.automation.heartbeat import Heartbeat, HeartbeatError, heartbeat, pings_of
from vox_assets.pipeline.automation.history import BUILD_TAG, EVERYTHING
from vox_assets.pipeline.resources.build_lock import lake_io_manager
from vox_assets.settings import Settings, load_settings
from vox_assets_tests.receiver import Receiver, receiving

BUILD = {BUILD_TAG: EVERYTHING}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def settings(tmp_path: Path, receiver: Receiver) -> Settings:
    settings = load_settings({"VOX_DATA_DIR": str(tmp_path / "data")})
    return replace(settings, heartbeat_url=receiver.heartbeat_url)


def tick(instance: dg.DagsterInstance, settings: Settings) -> str:
    context = dg.build_sensor_context(instance=instance, resources={"settings": settings})
    reason = heartbeat(context)
    assert isinstance(reason, dg.SkipReason)
    return str(reason.skip_message)


def run(
    instance: dg.DagsterInstance,
    settings: Settings,
    tags: dict[str, str],
    fault: BaseException | None = None,
    cancels: bool = False,
) -> dg.DagsterRun:
    """Run one asset under the build lock, as a job of the code location does."""

    @dg.asset
    def training_mix(context: dg.AssetExecutionContext) -> None:
        if fault is not None:
            raise fault
        if cancels:
            instance.report_run_canceling(context.run)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)

    defs = dg.Definitions(
        assets=[training_mix],
        jobs=[dg.define_asset_job("rebuild")],
        resources={"io_manager": lake_io_manager(settings, pings_of(settings))},
        executor=dg.in_process_executor,
    )
    result = defs.resolve_job_def("rebuild").execute_in_process(
        instance=instance, raise_on_error=False, tags=tags
    )
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    return run


def test_a_build_pings_its_start_and_its_success(
    instance: dg.DagsterInstance, settings: Settings, receiver: Receiver
) -> None:
    built = run(instance, settings, BUILD)
    assert receiver.pings == [f"/start?rid={built.run_id}", f"?rid={built.run_id}"]
    assert tick(instance, settings) == "sent: success"
    assert receiver.pings[2:] == [""]


def test_a_failed_build_is_signalled_until_a_build_succeeds(
    instance: dg.DagsterInstance, settings: Settings, receiver: Receiver
) -> None:
    built = run(instance, settings, BUILD, fault=ValueError("a row"))
    assert receiver.pings == [f"/start?rid={built.run_id}", f"/fail?rid={built.run_id}"]
    # A person's run of one asset does not repair the build.
    run(instance, settings, {})
    assert tick(instance, settings) == "sent: fail"
    assert receiver.pings[2:] == ["/fail"]
    run(instance, settings, BUILD)
    assert tick(instance, settings) == "sent: success"


def test_a_cancelled_build_is_no_failure(
    instance: dg.DagsterInstance, settings: Settings, receiver: Receiver
) -> None:
    cancelled = run(instance, settings, BUILD, cancels=True)
    assert cancelled.status == dg.DagsterRunStatus.CANCELED
    assert receiver.pings == [f"/start?rid={cancelled.run_id}"]
    assert tick(instance, settings) == "sent: success"


def test_a_build_that_dagster_will_retry_is_not_signalled_as_failed(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    died = instance.add_run(
        dg.DagsterRun(job_name="rebuild", status=dg.DagsterRunStatus.STARTED, tags=BUILD)
    )
    instance.report_run_failed(died, "the process of the run has ended")
    assert tick(instance, settings) == "sent: success"


def test_a_receiver_that_is_down_fails_its_tick_and_no_build(
    instance: dg.DagsterInstance, settings: Settings, receiver: Receiver
) -> None:
    receiver.alive = False
    assert run(instance, settings, BUILD).status == dg.DagsterRunStatus.SUCCESS
    with pytest.raises(HeartbeatError, match="did not accept the success ping: status 503"):
        tick(instance, settings)
    assert receiver.pings == []


def test_a_receiver_that_does_not_answer_delays_a_build_by_the_time_limit_only(
    instance: dg.DagsterInstance, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/ping/hunter2"
        built = run(instance, replace(settings, heartbeat_url=url), BUILD)
        assert built.status == dg.DagsterRunStatus.SUCCESS
        with pytest.raises(HeartbeatError, match="TimeoutError"):
            Heartbeat(url).ping("start")


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/ping/hunter2", "http://[::1/hunter2"])
def test_the_error_of_a_ping_does_not_contain_the_url(address: str) -> None:
    with pytest.raises(HeartbeatError, match="VOX_HEARTBEAT_URL did not accept") as caught:
        Heartbeat(address).ping("success")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_without_a_url_nothing_is_sent_and_the_tick_reports_it(
    instance: dg.DagsterInstance, settings: Settings, receiver: Receiver
) -> None:
    silent = replace(settings, heartbeat_url=None)
    run(instance, silent, BUILD)
    assert "VOX_HEARTBEAT_URL is not set" in tick(instance, silent)
    assert receiver.pings == []
