"""The report of an adapter shows the exam: ladders, constructs, past builds and some answers."""

from __future__ import annotations

import polars as pl

from vox_assets.profiles import load
from vox_assets.publish.exam_report import exam_sections, shown_answers
from vox_assets.publish.pages import Origin, render_adapter
from vox_assets.training.evaluation.verdicts import with_exam
from vox_assets_tests.exam.answers import answers
from vox_assets_tests.small_corpus import evaluated

ADAPTER = answers("adapter", [5, 5, 3, 3, 0, 0, 5, 5], answer="fn <b>() { }", model="a1")
ANSWERS = pl.concat([answers("base", [0] * 8), answers("base_with_help", [1] * 8), ADAPTER])
TASKS = ANSWERS.filter(arm="base").select(
    "task_id", pl.format("Write {} in Vox.", "task_id").alias("prompt")
)
HISTORY = pl.DataFrame(
    {"digest": ["a0", "a1"], "share": [0.2, 0.5], "low": [0.1, 0.3], "high": [0.3, 0.7]}
)


def test_the_report_has_the_ladder_the_plots_and_answers_with_their_verdicts() -> None:
    evaluation = with_exam(evaluated(0.7, 0.8), ANSWERS, load("sample").exam).to_json()
    sections = exam_sections(evaluation["exam"], TASKS, ANSWERS, HISTORY)
    page = render_adapter("Adapter a1", Origin({"adapter": "a1"}), [], evaluation, sections).html()
    assert "base with help [95 %]" in page and "4 of 8 [22%, 78%]" in page
    assert page.count("data:image/svg+xml") >= 4
    assert page.count(" in Vox.</pre>") == 5
    assert "fn &lt;b&gt;() { }" in page and "<b>()" not in page


def test_the_report_has_pass_at_k_where_answers_were_sampled() -> None:
    sampled = [answers("adapter", [5, 5, 0, 0] * 2, sample=n) for n in range(1, 6)]
    policy = load("sample").exam
    evaluation = with_exam(evaluated(0.7, 0.8), pl.concat([ANSWERS, *sampled]), policy).to_json()
    sections = exam_sections(evaluation["exam"], TASKS, ANSWERS, HISTORY)
    page = render_adapter("Adapter a1", Origin({"adapter": "a1"}), [], evaluation, sections).html()
    assert "pass@1" in page and "pass@5" in page and "pass@10" not in page
    assert "50.0% [" in page
    greedy = with_exam(evaluated(0.7, 0.8), ANSWERS, policy).to_json()["exam"]
    assert all("k samples" not in str(s) for s in exam_sections(greedy, TASKS, ANSWERS, HISTORY))


def test_answers_of_every_rung_are_shown_in_turn() -> None:
    shown = [line["label"] for line in shown_answers(TASKS, ANSWERS)]
    assert len(shown) == 5
    assert sum(label.endswith("passed") for label in shown) == 2


def test_a_failed_call_is_shown_with_what_was_expected() -> None:
    failed = answers("adapter", [4], call="twice(2)", expected="4", got="5", model="a1")
    [shown] = shown_answers(TASKS, failed)
    assert shown["label"].endswith("fails after declares: twice(2) gives 5, expected 4")
