"""Renders reports as HTML pages that need no network.

This module contains presentation only; the values are computed elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs

from vox_assets.curate.audit import survival
from vox_assets.publish.figures import (
    Figure,
    evaluator_figures,
    forest,
    histogram,
    loss_curve,
    roc_curves,
    stacked,
)
from vox_assets.training.adapter.evaluation_table import (
    ANSWER_HEADER,
    LOSS_HEADER,
    answer_lines,
    loss_lines,
)
from vox_assets.training.evaluation.arms import TABLE_HEADER as ABLATION_HEADER

TEMPLATE = Path(__file__).with_name("report.html.j2")


#: Rows shown of each lane, from the best to the worst kept row at even distances.
SAMPLES_PER_LANE = 4


@dataclass(frozen=True)
class Table:
    """A table; `numbers` are the indices of right-aligned columns."""

    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    numbers: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Section:
    """A heading of a report and its content."""

    title: str
    text: str = ""
    table: Table | None = None
    figures: Sequence[Figure] = ()
    samples: Sequence[Mapping[str, Any]] = field(default=())


def render_report(
    title: str,
    facts: Mapping[str, Any],
    funnel: pl.DataFrame,
    reasons: pl.DataFrame,
    scored: pl.DataFrame,
    mix_rows: pl.DataFrame,
    kinds: pl.DataFrame | None = None,
    weights: Mapping[str, Mapping[str, float]] | None = None,
    separation: pl.DataFrame | None = None,
    repositories: pl.DataFrame | None = None,
) -> str:
    """Render the report of a corpus as HTML.

    `funnel` has `step`, `source_asset`, `rows` in order from the sources to the mix. `reasons` has
    `stage`, `reason`, `rows`. `kinds` summarises the evaluator by language and kind of damage
    (`separation_report`), and `separation` has the score of every real row and damaged row.
    `weights` are the evaluator's weights by language and feature. `repositories` has
    `repository`, `fate`, `rows` if the profile names repositories. All text is
    escaped, because rows contain arbitrary source code.
    """
    kept = scored.filter(pl.col("kept"))
    sections = [
        Section(
            "From sources to the mix",
            table=_pivot(funnel),
            figures=[stacked("Rows after each step, by source table", funnel)],
        ),
        Section(
            "Why rows were dropped",
            "`vox-assets explain PAIR_ID` explains what happened to a row.",
            table=_table(reasons.columns, list(reasons.iter_rows())),
        ),
        Section(
            "Lanes",
            table=_count(kept, "lane", "response_mode", "origin"),
            figures=[stacked("Kept rows by lane and origin", _counts(kept, "lane", "origin"))],
        ),
        Section(
            "Languages",
            table=_count(kept, "lane", "language", "source_kind"),
            figures=[stacked("Kept rows by language and lane", _counts(kept, "language", "lane"))],
        ),
        Section(
            "Lengths",
            figures=[histogram("Tokens of a row in the training mix", mix_rows, "tokens")],
        ),
        Section(
            "Scores",
            "Rows below the threshold and the rows with the highest perplexity are dropped.",
            table=_survival(scored),
            figures=[histogram("Score of each deduplicated row", scored, "score")],
        ),
        Section("The mix", table=_count(mix_rows, "split", "language", "task_family")),
    ]
    if repositories is not None:
        listed = _table(repositories.columns, list(repositories.iter_rows()))
        sections.insert(1, Section("Fates of the rows of each repository", table=listed))
    if kinds is not None and not kinds.is_empty() and weights:
        rounded = kinds.with_columns(cs.float().round(3))
        sections.append(
            Section(
                "Evaluators",
                "Damaged rows that were not used to fit the score, by language. AUC: how well the "
                "score separates them from all real rows of the language (0.5 is chance); "
                "rejected: the share of them that is dropped; both with 95 % intervals. The "
                "second plot shows the weights of the score.",
                table=_table(rounded.columns, list(rounded.iter_rows())),
                figures=[
                    *evaluator_figures(kinds, weights),
                    *([] if separation is None else [roc_curves(separation)]),
                ],
            )
        )
    sections += [
        Section(f"Rows of {lane}", samples=_samples(kept, lane))
        for lane in sorted(kept["lane"].unique().to_list())
    ]
    return _page(title, facts, sections)


def render_adapter(
    title: str,
    facts: Mapping[str, Any],
    curve: Sequence[Mapping[str, Any]],
    evaluation: Mapping[str, Any],
    exam: Sequence[Section] = (),
) -> str:
    """Render the report of an adapter as HTML.

    `curve` has the progress lines of its training, `evaluation` the result of `Evaluation.to_json`,
    and `exam` the sections about the exam.
    """
    verdicts = [
        (
            verdict["name"],
            "yes" if verdict["passed"] else "undecided" if verdict["undecided"] else "no",
            verdict["reason"],
        )
        for verdict in evaluation["verdicts"]
    ]
    sections = [
        Section("Training", figures=[loss_curve(curve, "svg")]),
        Section("Evaluation", table=_table(["verdict", "passed", "reason"], verdicts)),
        Section(
            "Loss on held-out and other rows",
            "Nats per answer token, weighted by tokens. Intervals are over sources.",
            table=_table(LOSS_HEADER, loss_lines(evaluation)),
        ),
        Section(
            "Answers to held-out prompts",
            "Shares with Wilson intervals.",
            table=_table(ANSWER_HEADER, answer_lines(evaluation)),
        ),
        *exam,
    ]
    return _page(title, facts, sections)


def render_ablation(
    title: str, results: Sequence[Mapping[str, Any]], lines: Sequence[Sequence[str]]
) -> str:
    """Render the report of an ablation as HTML, from the results and table lines of `arms`."""
    ratios = [(item["arm"], item["evaluation"]["held_out"]["ratio"]) for item in results]
    reasons = [(item["arm"], item["why"]) for item in results]
    sections = [
        Section(
            "Arms",
            "All arms are trained with the same number of tokens and the same seed, and are "
            "evaluated on the same held-out rows. Intervals are paired and over "
            "sources.",
            table=_table(ABLATION_HEADER, lines),
            figures=[forest(ratios, "svg")],
        ),
        Section("Meaning of each arm", table=_table(["arm", "meaning"], reasons)),
    ]
    return _page(title, {"held-out rows": results[0]["evaluation"]["held_out"]["rows"]}, sections)


def _page(title: str, facts: Mapping[str, Any], sections: Sequence[Section]) -> str:
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(title=title, facts=list(facts.items()), sections=sections)


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    numbers = frozenset(
        index
        for index in range(len(header))
        if rows and all(isinstance(row[index], int | float) for row in rows)
    )
    return Table(header, rows, numbers)


def _pivot(funnel: pl.DataFrame) -> Table:
    wide = funnel.pivot("source_asset", index="step", values="rows").fill_null(0)
    wide = wide.with_columns(pl.sum_horizontal(pl.exclude("step")).alias("all"))
    return _table(wide.columns, list(wide.iter_rows()))


def _survival(scored: pl.DataFrame) -> Table:
    groups = survival(scored)
    return _table(groups.columns, list(groups.iter_rows()))


def _counts(rows: pl.DataFrame, *columns: str) -> pl.DataFrame:
    return rows.group_by(columns).len("rows").sort(columns)


def _count(rows: pl.DataFrame, *columns: str) -> Table:
    counts = _counts(rows, *columns)
    return _table(counts.columns, list(counts.iter_rows()))


def _samples(kept: pl.DataFrame, lane: str) -> list[dict[str, Any]]:
    """Select rows at even distances in the order of scores of a lane, best first."""
    rows = kept.filter(pl.col("lane") == lane).sort(["score", "pair_id"], descending=[True, False])
    count = min(SAMPLES_PER_LANE, len(rows))
    positions = [round(step * (len(rows) - 1) / max(1, count - 1)) for step in range(count)]
    columns = ["score", "language", "origin", "source_path", "source_start_line", "messages"]
    return [
        {"label": f"{score:.1f} · {language} · {origin} · {path}:{line}", "messages": messages}
        for score, language, origin, path, line, messages in rows[positions]
        .select(columns)
        .iter_rows()
    ]
