"""Figures of the exam: shares per rung, differences between arms and pass@k."""

from __future__ import annotations

import polars as pl
import pytest

from vox_assets.exam import results
from vox_assets_tests.exam.answers import answers

BOTH = pl.concat(
    [answers("adapter", [5, 5, 5, 3, 5, 3, 5, 5, 5, 5]), answers("base", [1, 0, 0, 3] + [0] * 6)]
)


def test_a_ladder_counts_each_rung_per_arm_without_the_absent_one() -> None:
    shares = results.shares(BOTH)
    assert shares["arm"].unique(maintain_order=True).to_list() == ["base", "adapter"]
    of_base = shares.filter(arm="base")
    assert of_base["rung"].to_list() == [
        *("ends", "code_only", "parses", "declares", "behaves", "passed"),
    ]
    assert of_base["reached"].to_list() == [2, 1, 1, 0, 0, 0]
    assert of_base["tasks"].to_list() == [10] * 6
    assert of_base["share"][0] == 0.2 and 0 < of_base["low"][0] < 0.2 < of_base["high"][0]


def test_shares_by_construct_and_kind_divide_the_tasks() -> None:
    by_kind = results.shares(BOTH, "kind").filter(arm="adapter", rung="passed")
    assert by_kind.select("kind", "tasks", "reached").rows() == [
        ("familiar", 5, 5),
        ("live", 5, 3),
    ]


def test_differences_are_paired_by_the_tasks_that_both_arms_answered() -> None:
    serving = answers("serving", [None] * 4 + [5, 5, 0, 0, 5, 5])
    found = {
        (item.other, item.rung): item
        for item in results.differences(pl.concat([BOTH, serving]), ["parses", "behaves"])
    }
    assert set(found) == {
        (arm, rung) for arm in ("base", "serving") for rung in ("parses", "behaves")
    }
    assert found["base", "behaves"].interval.value == pytest.approx(0.8)
    assert found["base", "behaves"].interval.low > 0
    assert found["serving", "behaves"].tasks == 6
    assert found["serving", "behaves"].interval.value == pytest.approx(1 / 6)


def test_pass_at_k_is_the_unbiased_estimate_over_samples() -> None:
    # Of four samples one is right for each task: 1 - C(3, 2) / C(4, 2) = 1/2.
    sampled = pl.concat(
        [BOTH, *(answers("adapter", [5 if n == 1 else 0] * 10, sample=n) for n in range(1, 5))]
    )
    assert results.pass_at(sampled, 1)["adapter"].value == pytest.approx(0.25)
    assert results.pass_at(sampled, 2)["adapter"].value == pytest.approx(0.5)
    assert results.pass_at(sampled, 5) == {}
    assert [(rate["arm"], rate["k"]) for rate in results.pass_rates(sampled)] == [("adapter", 1)]
    assert results.pass_rates(BOTH) == []
    # Samples do not change the greedy figures.
    assert results.shares(sampled).equals(results.shares(BOTH))


def test_the_figures_are_plain_values_and_the_digest_depends_on_the_tasks_alone() -> None:
    found = results.figures(BOTH, ["parses"])
    assert found["tasks"] == 10
    assert {line["arm"] for line in found["shares"]} == {"base", "adapter"}
    assert found["digest"] == results.digest(BOTH.filter(arm="base"))
    assert found["digest"] != results.digest(BOTH.filter(pl.col("task_id") != "task0"))


def test_a_construct_is_weak_if_enough_of_its_tasks_are_passed_less_often_than_all_tasks() -> None:
    def line(construct: str, reached: int, tasks: int, rung: str = "passed") -> dict:
        facts = {"arm": "adapter", "construct": construct, "rung": rung}
        return {**facts, "reached": reached, "tasks": tasks, "share": reached / tasks}

    exam = {
        "shares": [{"arm": "adapter", "rung": "passed", "share": 0.5}],
        "constructs": [
            line("lambdas", 1, 4),
            line("lists", 3, 4),
            line("actors", 0, 2),
            line("recursion", 0, 9),
            line("forms", 0, 9, rung="parses"),
            line("forms", 9, 9),
        ],
    }
    assert results.weak_constructs(exam) == {"lambdas": (1, 4)}
    assert results.weak_constructs({"shares": [], "constructs": []}) == {}
