"""After a run, one message tells what failed: checks, crashed checks and steps."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import dagster as dg
import pytest

from vox_assets.automation.alerts import failed_checks, failed_steps, message
from vox_assets.resources.notifier import Notifier


@dg.asset
def corpus() -> int:
    return 1


@dg.asset
def adapter(corpus: int) -> None:
    raise RuntimeError("minimum_size: lane vox_codegen has 3 rows")


@dg.asset_check(asset=corpus)
def holds() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


@dg.asset_check(asset=corpus)
def fails() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, description="2 of 9 rows leak")


@dg.asset_check(asset=corpus)
def only_warns() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=False, severity=dg.AssetCheckSeverity.WARN, description="few rows"
    )


@dg.asset_check(asset=corpus)
def crashes() -> dg.AssetCheckResult:
    raise ZeroDivisionError


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


def run(instance: dg.DagsterInstance, *definitions: object) -> dg.DagsterRun:
    defs = dg.Definitions(
        assets=[d for d in definitions if not isinstance(d, dg.AssetChecksDefinition)],
        asset_checks=[d for d in definitions if isinstance(d, dg.AssetChecksDefinition)],
        jobs=[dg.define_asset_job("everything")],
        executor=dg.in_process_executor,
    )
    result = defs.resolve_job_def("everything").execute_in_process(
        instance=instance, raise_on_error=False
    )
    return instance.get_run_by_id(result.run_id)  # type: ignore[return-value]


def test_failed_and_crashed_checks_are_told_apart(instance: dg.DagsterInstance) -> None:
    done = run(instance, corpus, holds, fails, only_warns, crashes)
    told = {failure.what: failure for failure in failed_checks(instance, done.run_id)}
    assert told["corpus:fails"].detail == "2 of 9 rows leak"
    assert told["corpus:fails"].severity == "ERROR"
    assert told["corpus:only_warns"].severity == "WARN"
    assert "crashed" in told["corpus:crashes"].detail
    assert set(told) == {"corpus:fails", "corpus:only_warns", "corpus:crashes"}


def test_a_check_that_was_never_reached_is_not_called_crashed(
    instance: dg.DagsterInstance,
) -> None:
    @dg.asset_check(asset=adapter)
    def loads() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    done = run(instance, corpus, adapter, loads)
    assert failed_checks(instance, done.run_id) == []
    [failure] = failed_steps(instance, done.run_id)
    assert failure.what == "adapter"
    assert failure.detail.endswith("minimum_size: lane vox_codegen has 3 rows")


def test_the_message_names_commit_and_run(instance: dg.DagsterInstance) -> None:
    done = run(instance, corpus, fails)
    title, body = message(
        done.with_tags({"vox/commit": "abc123"}),
        failed_checks(instance, done.run_id),
        "http://127.0.0.1:3000",
    )
    assert title == "vox-assets: 1 failed in everything"
    assert "ERROR corpus:fails: 2 of 9 rows leak" in body
    assert "commit: abc123" in body
    assert f"http://127.0.0.1:3000/runs/{done.run_id}" in body


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[dict]]]:
    """A real HTTP receiver on loopback: its Apprise URL and what it got."""
    got: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            got.append(json.loads(self.rfile.read(length)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"json://127.0.0.1:{server.server_port}/alerts", got
    server.shutdown()
    server.server_close()


def test_an_alert_reaches_a_receiver(receiver: tuple[str, list[dict]]) -> None:
    url, got = receiver
    assert Notifier((url,)).send("title", "body") == "alert sent"
    assert [(mail["title"], mail["message"]) for mail in got] == [("title", "body")]


def test_a_dead_channel_is_told_and_raises_nothing() -> None:
    outcome = Notifier(("json://127.0.0.1:9/secret-token",)).send("title", "body")
    assert "not delivered" in outcome
    assert "secret-token" not in outcome


def test_without_urls_nothing_is_sent_and_it_says_so() -> None:
    assert "VOX_ALERT_URLS is not set" in Notifier(()).send("title", "body")
