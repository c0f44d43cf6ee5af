"""The terminal shows one line per stage of a run, with counts and time."""

import io
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.api import execute_run

from vox_assets.pipeline.stages import StageLines, announcement, ending
from vox_assets.settings import Settings, load_settings
from vox_assets.terminal import COLUMNS, Console


@dg.asset
def rows(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    context.log.info("embedding: 160 of 2,279 texts, 10.2/s, 207 s left")
    context.log.info("1,083 rows from 127 files, 493 items dropped")
    context.log.info("step 3/60  loss 1.0728  77 tokens/s  100 s left")
    return dg.MaterializeResult(metadata={"dagster/row_count": 1083})


@dg.asset(deps=[rows])
def ledger(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    context.log.warning("waiting for the build that holds build.lock")
    return dg.MaterializeResult(metadata={"dagster/row_count": 2279})


@dg.asset(deps=[rows])
def broken() -> None:
    raise dg.Failure(description="no such folder", allow_retries=False)


@dg.asset(deps=[broken])
def later() -> None:
    raise AssertionError("must not run")


@dg.asset_check(asset=rows)
def balanced() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True, description="no faults in 1,083")


@dg.asset_check(asset=rows)
def floor() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=False, severity=dg.AssetCheckSeverity.WARN, description="rows: 1,083 < 2,000"
    )


@pytest.fixture(scope="module")
def shown() -> list[str]:
    """Run a job with a failure, and return the lines that a file gets."""
    stream = io.StringIO()
    with dg.instance_for_test() as instance:
        run = instance.create_run_for_job(job())
        stages = StageLines(Console(stream), ["rows", "ledger", "broken", "later"])
        instance.add_event_listener(run.run_id, stages)
        execute_run(dg.build_reconstructable_job(__name__, "job"), run, instance)
        stages.end()
    return stream.getvalue().splitlines()


def job() -> dg.JobDefinition:
    return dg.Definitions(
        assets=[rows, ledger, broken, later],
        asset_checks=[balanced, floor],
        jobs=[dg.define_asset_job("all")],
        executor=dg.in_process_executor,
    ).resolve_job_def("all")


def test_a_stage_has_one_line_with_its_counts_and_its_time(shown: list[str]) -> None:
    [line] = [line for line in shown if line.startswith("rows")]
    assert line.split("  ")[-1] == "1,083 rows from 127 files, 493 items dropped"
    assert line.split()[1:3] == ["0", "s"]


def test_a_stage_that_logs_nothing_shows_its_row_count(shown: list[str]) -> None:
    [line] = [line for line in shown if line.startswith("ledger")]
    assert line.endswith("  2,279 rows")


def test_checks_that_pass_are_not_shown_and_others_are(shown: list[str]) -> None:
    assert not [line for line in shown if "balanced" in line]
    [line] = [line for line in shown if "floor" in line]
    assert line.split("  ")[-1] == "rows:floor: rows: 1,083 < 2,000"
    assert " warning " in line


def test_warnings_stay_and_progress_does_not(shown: list[str]) -> None:
    assert [line for line in shown if "waiting for the build" in line]
    assert not [line for line in shown if "embedding" in line or "step 3/60" in line]


def test_a_failure_and_the_assets_that_were_not_reached_are_named(shown: list[str]) -> None:
    assert [line for line in shown if line.startswith("broken") and line.endswith("failed")]
    assert shown[-1].split() == ["not", "built", "later"]
    assert not [line for line in shown if "Dependencies" in line]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("VOX_SOURCE_DIR", "VOX_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VOX_DATA_DIR", str(tmp_path))
    return load_settings()


def test_the_announcement_says_what_is_done_and_how_long_it_takes(settings: Settings) -> None:
    with dg.instance_for_test() as instance:
        lines = announcement(settings, "rebuild", 10, 30, instance)
        text = " ".join(" ".join(lines).split())
        assert f"rebuild {settings.source_dir}, profile sample" in text
        assert "builds 10 assets and evaluates 30 checks" in text
        assert "trains an adapter for at most 2 min 30 s" in text
        assert "the first build takes about 13 minutes on two idle cores" in text
        corpus = " ".join(announcement(settings, "corpus", 8, 24, instance))
        assert "trains nothing" in " ".join(corpus.split())
        other = replace(settings, profile_reference="vox")
        text = " ".join(announcement(other, "corpus", 8, 24, instance))
        assert "for each 1,000 rows" in " ".join(text.split())


def test_the_announcement_gives_the_times_of_the_last_builds(settings: Settings) -> None:
    with dg.instance_for_test() as instance:
        for seconds in (100, 260):
            run = instance.create_run_for_job(job())
            instance.handle_new_event(event(run, dg.DagsterEventType.PIPELINE_START, 1000.0))
            instance.handle_new_event(
                event(run, dg.DagsterEventType.PIPELINE_SUCCESS, 1000.0 + seconds)
            )
        text = " ".join(" ".join(announcement(settings, "all", 4, 2, instance)).split())
    assert "the last 2 builds took 1 min 40 s to 4 min 20 s" in text


def event(run: dg.DagsterRun, kind: dg.DagsterEventType, at: float) -> dg.EventLogEntry:
    return dg.EventLogEntry(
        error_info=None,
        level="debug",
        user_message="",
        run_id=run.run_id,
        timestamp=at,
        job_name=run.job_name,
        dagster_event=dg.DagsterEvent(event_type_value=kind.value, job_name=run.job_name),
    )


@pytest.mark.parametrize("job_name", ["corpus", "rebuild"])
@pytest.mark.parametrize("success", [True, False])
def test_the_end_has_the_total_time_and_the_next_commands(
    settings: Settings, job_name: str, success: bool
) -> None:
    lines = ending(settings, job_name, success, 432)
    assert lines[0] == "total     7 min 12 s"
    assert lines[1].startswith("next      make dev ")
    assert any("troubleshooting" in line for line in lines) is not success
    assert max(map(len, lines)) <= COLUMNS
