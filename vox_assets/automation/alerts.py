"""Alerts: after every run, one message about the checks and steps that failed in it."""

from dataclasses import dataclass

import dagster as dg

from vox_assets.resources.notifier import Notifier
from vox_assets.resources.settings import Settings

# Failures named in a message; the run's page has them all.
NAMED = 10
# The step's own words, cut before they become a page.
ERROR_CHARACTERS = 200


@dataclass(frozen=True)
class Failure:
    """Something a maintainer should know of."""

    what: str
    severity: str
    detail: str

    def __str__(self) -> str:
        return f"{self.severity} {self.what}: {self.detail}"


def failed_checks(instance: dg.DagsterInstance, run_id: str) -> list[Failure]:
    """Checks of a run that failed, and those that were planned and never came to a verdict."""
    evaluations = {}
    planned = []
    for record in instance.get_records_for_run(
        run_id,
        of_type={
            dg.DagsterEventType.ASSET_CHECK_EVALUATION,
            dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
        },
    ).records:
        event = record.event_log_entry.dagster_event
        if event is None:
            continue
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            evaluations[evaluation.asset_check_key] = evaluation
        else:
            planned.append(event.asset_check_planned_data.asset_check_key)
    failures = [
        Failure(key.to_user_string(), evaluation.severity.value, evaluation.description or "")
        for key, evaluation in evaluations.items()
        if not evaluation.passed
    ]
    succeeded = {
        step.step_key for step in instance.get_run_step_stats(run_id) if step.status is not None
    }
    failures += [
        Failure(key.to_user_string(), "ERROR", "crashed before it came to a verdict")
        for key in planned
        if key not in evaluations and _step_of(key) in succeeded
    ]
    return failures


def _step_of(key: dg.AssetCheckKey) -> str:
    return f"{'__'.join(key.asset_key.path)}_{key.name}"


def failed_steps(instance: dg.DagsterInstance, run_id: str) -> list[Failure]:
    """Steps of a run that raised, with the first line of what they said."""
    failures = []
    for record in instance.get_records_for_run(
        run_id, of_type=dg.DagsterEventType.STEP_FAILURE
    ).records:
        event = record.event_log_entry.dagster_event
        if event is None:
            continue
        error = event.step_failure_data.error
        innermost = error
        while innermost is not None and innermost.cause is not None:
            innermost = innermost.cause
        said = innermost.message.strip().splitlines()[0] if innermost else "no message"
        failures.append(Failure(event.step_key or "run", "ERROR", said[:ERROR_CHARACTERS]))
    return failures


def message(run: dg.DagsterRun, failures: list[Failure], ui_url: str) -> tuple[str, str]:
    """Title and body of the alert for one run."""
    lines = [str(failure) for failure in failures[:NAMED]]
    if len(failures) > NAMED:
        lines.append(f"and {len(failures) - NAMED} more")
    lines.append(f"commit: {run.tags.get('vox/commit', 'unknown')}")
    lines.append(f"run: {ui_url}/runs/{run.run_id}")
    return f"vox-assets: {len(failures)} failed in {run.job_name}", "\n".join(lines)


def _alert(
    context: dg.RunStatusSensorContext, settings: Settings, notifier: Notifier
) -> dg.SkipReason:
    run = context.dagster_run
    if run.tags.get("dagster/will_retry") == "true":
        return dg.SkipReason("the run will be tried again")
    failures = failed_steps(context.instance, run.run_id)
    failures += failed_checks(context.instance, run.run_id)
    if not failures:
        if run.status == dg.DagsterRunStatus.SUCCESS:
            return dg.SkipReason("nothing failed")
        failures = [Failure("run", "ERROR", "failed outside every step")]
    outcome = notifier.send(*message(run, failures, settings.ui_url))
    context.log.info(outcome)
    return dg.SkipReason(outcome)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    name="alert_on_failed_checks",
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Checks that failed in a run which went through all the same.",
)
def alert_on_failed_checks(
    context: dg.RunStatusSensorContext,
    settings: dg.ResourceParam[Settings],
    notifier: dg.ResourceParam[Notifier],
) -> dg.SkipReason:
    """One message for a successful run in which checks failed."""
    return _alert(context, settings, notifier)


@dg.run_failure_sensor(
    name="alert_on_failed_runs",
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Runs that failed, with the steps and checks that made them fail.",
)
def alert_on_failed_runs(
    context: dg.RunFailureSensorContext,
    settings: dg.ResourceParam[Settings],
    notifier: dg.ResourceParam[Notifier],
) -> dg.SkipReason:
    """One message for a failed run."""
    return _alert(context, settings, notifier)


SENSORS = [alert_on_failed_checks, alert_on_failed_runs]
