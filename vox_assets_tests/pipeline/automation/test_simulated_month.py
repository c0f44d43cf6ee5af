"""Tests that the simulated month finds what is lost, what is stuck, and wrong alerts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture(scope="module")
def simulation() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        import simulated_month

        yield simulated_month


DUE = [("NOT BUILT a, b", "FAILED check x"), ("RECOVERED check x",)]
SENT = ["NOT BUILT a, b by run 1\n\nFAILED check x: 3 rows\n", "RECOVERED check x"]


@pytest.mark.parametrize(
    ("sent", "wrong"),
    [
        (SENT, []),
        (SENT[:1], ["message 2: due ('RECOVERED check x',), got nothing"]),
        ([*SENT, "OVERDUE a"], ["message 3: due nothing, got ['OVERDUE a']"]),
        ([*SENT, ""], ["message 3: due nothing, got nothing"]),
        (
            [SENT[0], "RECOVERED check x\nRECOVERED check y"],
            [
                "message 2: due ('RECOVERED check x',), "
                "got ['RECOVERED check x', 'RECOVERED check y']"
            ],
        ),
        (
            [SENT[0], "FAILED check x"],
            ["message 2: due ('RECOVERED check x',), got ['FAILED check x']"],
        ),
    ],
)
def test_a_message_that_is_missing_or_not_due_or_other_is_named(
    simulation: ModuleType, sent: list[str], wrong: list[str]
) -> None:
    assert simulation.differences(sent, DUE) == wrong


@pytest.mark.slow
def test_a_day_with_a_killed_training_ends_with_nothing_wrong(simulation: ModuleType) -> None:
    steps = [(1, 9, lambda month: month.build("docs")), (1, 12, _with_fault(simulation, "dies"))]
    plan = simulation.Plan(days=1, steps=steps, due=[], silences=0)
    figures, wrong = simulation.simulate(plan)
    assert wrong == []
    # The first build, the killed one, its retry and the change of the morning.
    assert (figures["runs_failure"], figures["runs_success"]) == (1, 3)


@pytest.mark.slow
def test_a_build_that_hangs_until_the_end_is_stuck_and_its_change_is_lost(
    simulation: ModuleType,
) -> None:
    steps = [(1, 9, _with_fault(simulation, "waits"))]
    _, wrong = simulation.simulate(simulation.Plan(days=1, steps=steps, due=[], silences=0))
    assert wrong[0] == "stuck after 60 rounds: rebuild_after_crates STARTED"
    assert "crates: the last content is not built" in wrong
    assert "docs: the last content is not built" not in wrong


def _with_fault(simulation: ModuleType, does: str) -> object:
    """Return a step that changes code, whose build dies or waits inside the training."""

    def happens(month: Any) -> None:
        simulation.faults.append(simulation.Fault("qlora_adapter", does))
        month.build("crates")

    return happens
