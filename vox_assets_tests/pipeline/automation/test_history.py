"""Tests the error that is read from the events of a failed run."""

from __future__ import annotations

import dagster as dg
import pytest

from vox_assets.contract.rows import SchemaError
from vox_assets.pipeline.automation.history import root_cause


def failing_step(error: Exception, cause: Exception | None) -> dg.DagsterEvent:
    """Run a step that raises `error` from `cause`; return its failure event."""

    @dg.asset
    def training_mix() -> None:
        raise error from cause

    with dg.instance_for_test() as instance:
        result = dg.materialize([training_mix], instance=instance, raise_on_error=False)
    [event] = result.get_step_failure_events()
    return event


@pytest.mark.parametrize(
    ("error", "cause", "expected"),
    [
        (
            RuntimeError("the step failed"),
            FileNotFoundError("no such file: a.rs"),
            ("FileNotFoundError", "no such file: a.rs"),
        ),
        (
            SchemaError("drops: column 2:\n  expected line"),
            None,
            ("vox_assets.contract.rows.SchemaError", "drops: column 2: expected line"),
        ),
        (ZeroDivisionError(), None, ("ZeroDivisionError", "")),
    ],
)
def test_the_cause_of_a_failed_step_is_the_error_that_was_raised_first(
    error: Exception, cause: Exception | None, expected: tuple[str, str]
) -> None:
    assert root_cause(failing_step(error, cause)) == expected
