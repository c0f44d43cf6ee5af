"""The nightly rebuild."""

from __future__ import annotations

import dagster as dg

from vox_assets.automation.jobs import rebuild

# After the day's last merge and before the first one, in the zone of the settings.
NIGHTLY = "0 2 * * *"


def nightly_schedule(timezone: str) -> dg.ScheduleDefinition:
    """Everything at 02:00, training included."""
    return dg.ScheduleDefinition(
        name="nightly",
        job=rebuild,
        cron_schedule=NIGHTLY,
        execution_timezone=timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Everything, every night.",
    )
