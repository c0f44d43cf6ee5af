"""Shows a run in the terminal: what it will do, one line per stage, and what it left behind.

Dagster keeps its own log of the run for the UI.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

import dagster as dg

from vox_assets.settings import Settings
from vox_assets.store.progress import is_progress
from vox_assets.terminal import Console, duration, hanging

#: Time that a whole build of the bundled workspace takes on two idle cores, with nothing cached.
_SAMPLE_MINUTES = 13
_NAME_WIDTH, _TIME_WIDTH = 18, 12
_BLANK = " " * (_NAME_WIDTH + _TIME_WIDTH + 2)
#: Dagster's lines about the channel to the training program, and about steps after a failed one;
#: `end` lists those.
_OF_DAGSTER = ("[pipes] ", "Dependencies for step ")
#: Runs whose times the announcement gives.
_EARLIER_RUNS = 5


def announcement(
    settings: Settings, job_name: str, assets: int, checks: int, instance: dg.DagsterInstance
) -> list[str]:
    """Return lines that say what a build will do and how long it takes."""
    lines = hanging(f"{job_name}  ", f"{settings.source_dir}, profile {settings.profile_reference}")
    training = (
        f", trains an adapter for at most {duration(settings.profile.training.max_seconds)} and "
        "compares it with its base model"
        if job_name == "rebuild"
        else "; trains nothing"
    )
    does = f"reads the sources, builds {assets} assets and evaluates {checks} checks{training}"
    space = " " * (len(job_name) + 2)
    lines += hanging(space, does)
    return lines + hanging(space, _expected_time(settings, job_name, instance))


def _expected_time(settings: Settings, job_name: str, instance: dg.DagsterInstance) -> str:
    """Return how long a build takes, by the earlier builds of this job where there are any."""
    records = instance.get_run_records(
        dg.RunsFilter(job_name=job_name, statuses=[dg.DagsterRunStatus.SUCCESS]),
        limit=_EARLIER_RUNS,
    )
    times = sorted(
        record.end_time - record.start_time
        for record in records
        if record.end_time is not None and record.start_time is not None
    )
    if len(times) > 1:
        return f"the last {len(times)} builds took {duration(times[0])} to {duration(times[-1])}"
    if times:
        return f"the last build took {duration(times[0])}"
    if settings.profile_reference == "sample":
        share = "" if job_name == "rebuild" else "less than "
        return f"the first build takes {share}about {_SAMPLE_MINUTES} minutes on two idle cores"
    return (
        "the first build of a tree takes one to two minutes for each 1,000 rows on two cores, and "
        "the training; later builds read what has changed"
    )


def ending(settings: Settings, job_name: str, success: bool, seconds: float) -> list[str]:
    """Return the lines after a build: the total time, and what a person may do next."""
    ui = ("make dev", f"open the UI on {settings.ui_url}")
    if not success:
        steps = [ui, ("docs/troubleshooting.md", "find the cause of a failure, and the command")]
    elif job_name == "corpus":
        steps = [
            ui,
            ("vox-assets explain PAIR_ID", "show what happened to one row"),
            ("vox-assets build rebuild", "train and evaluate an adapter"),
        ]
    else:
        steps = [
            ui,
            ("vox-assets adapters", "list the adapters that may be promoted"),
            ("vox-assets explain PAIR_ID", "show what happened to one row"),
        ]
    names = ["next", *[""] * (len(steps) - 1)]
    return [
        f"{'total':<10}{duration(seconds)}",
        *(
            f"{name:<10}{command:<28}{text}"
            for name, (command, text) in zip(names, steps, strict=True)
        ),
    ]


class StageLines:
    """Prints one line for each asset of a run, and the checks that did not pass."""

    def __init__(self, console: Console, assets: Collection[str]) -> None:
        self._console, self._assets = console, frozenset(assets)
        self._started: dict[str, float] = {}
        self._result: dict[str, str] = {}

    def __call__(self, entry: dg.EventLogEntry) -> None:
        """Take an event of the run, or a line that a step logged."""
        event = entry.dagster_event
        step = entry.step_key or ""
        if event is None:
            self._logged(step, entry.user_message, entry.level)
        elif event.event_type == dg.DagsterEventType.STEP_START:
            self._started[step] = entry.timestamp
            self._show(step, "" if step in self._assets else "check")
        elif event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
            self._result.setdefault(step, _row_count(event))
        elif event.event_type == dg.DagsterEventType.STEP_SUCCESS and step in self._assets:
            self._stage(step, entry.timestamp, self._result.get(step, ""))
        elif event.event_type == dg.DagsterEventType.STEP_FAILURE:
            self._stage(step, entry.timestamp, "failed")
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            self._check(event.asset_check_evaluation_data)

    def end(self) -> None:
        """Print which assets the run did not reach."""
        missing = sorted(self._assets - set(self._started))
        if missing:
            self._print(f"{'not built':<{_NAME_WIDTH}}", ", ".join(missing))
        self._console.clear()

    def _logged(self, step: str, message: str, level: int | str) -> None:
        if message.startswith(_OF_DAGSTER):
            return
        if isinstance(level, int) and level >= logging.WARNING:
            self._print(_BLANK, message)
            return
        if step in self._assets and not is_progress(message):
            self._result[step] = message
        self._show(step, message)

    def _show(self, step: str, text: str) -> None:
        self._console.state(f"{step:<{_NAME_WIDTH}}{'':{_TIME_WIDTH}}  {text}".rstrip())

    def _stage(self, step: str, ended: float, result: str) -> None:
        seconds = ended - self._started.get(step, ended)
        start = f"{step:<{_NAME_WIDTH}}{duration(seconds):>{_TIME_WIDTH}}  "
        self._print(start, result)

    def _check(self, check: Any) -> None:
        if check.passed:
            return
        verdict = "failed" if check.severity == dg.AssetCheckSeverity.ERROR else "warning"
        name = check.asset_check_key.to_user_string()
        start = f"{'':<{_NAME_WIDTH}}{verdict:>{_TIME_WIDTH}}  "
        self._print(start, f"{name}: {check.description or 'no description'}")

    def _print(self, start: str, text: str) -> None:
        for line in hanging(start, text):
            self._console.line(line)


def _row_count(event: dg.DagsterEvent) -> str:
    metadata = event.step_materialization_data.materialization.metadata
    count = metadata.get("dagster/row_count")
    return f"{count.value:,} rows" if count is not None else ""
